"""Reads waveforms in VCD (IEEE 1364), as far as Verilator writes them: binary values, one hierarchy."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path

DECLARATION = re.compile(r"\$(scope|upscope|var)\s*(.*?)\s*\$end")


@dataclass
class Wave:
    """A signal: its width in bits, and the times at which it changed with what it was from then on (0 for unknown)."""

    bits: int
    times: list[int] = field(default_factory=list)
    values: list[int] = field(default_factory=list)

    def at(self, time: int) -> int:
        """The value at a time; before the first change the first value."""
        return self.values[max(bisect_right(self.times, time) - 1, 0)]


def read_vcd(path: Path) -> dict[str, Wave]:
    """Waves by name, scopes joined with dots."""
    head, body = path.read_text(encoding="ascii", errors="replace").split("$enddefinitions", 1)
    waves: dict[str, Wave] = {}
    named: dict[str, list[Wave]] = {}
    scopes: list[str] = []
    for kind, text in DECLARATION.findall(head):
        words = text.split()
        if kind == "scope":
            scopes.append(words[1])
        elif kind == "upscope":
            scopes.pop()
        else:
            wave = Wave(int(words[1]))
            named.setdefault(words[2], []).append(wave)
            waves[".".join((*scopes, words[3]))] = wave
    time = 0
    for line in body.splitlines():
        if line.startswith("#"):
            time = int(line[1:])
        elif line[:1] in "01xz" and line:
            _change(named.get(line[1:], []), time, line[0])
        elif line.startswith("b"):
            value, code = line[1:].split()
            _change(named.get(code, []), time, value)
    return {name: wave for name, wave in waves.items() if wave.times}


def _change(waves: list[Wave], time: int, value: str) -> None:
    number = int(re.sub("[xz]", "0", value), 2)
    for wave in waves:
        wave.times.append(time)
        wave.values.append(number)
