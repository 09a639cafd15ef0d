"""Draw some signals of a VCD file as SVG, a column a clock cycle, sampled before the clock's edge.

Run from the repository: ``python benchmarks/draw_waveform.py wave.vcd picture.svg valid ready --scope head``.
"""

from __future__ import annotations

import argparse
from html import escape
from pathlib import Path

from deepdive.errors import DeepDiveError
from deepdive.files import write_text
from deepdive.simulation.vcd import Wave, read_vcd

LEFT, COLUMN, ROW, HIGH = 140, 46, 30, 18
STYLE = "text{font:12px monospace}path{fill:none;stroke:#1f6feb;stroke-width:1.5}line{stroke:#ddd}"


def find(waves: dict[str, Wave], scope: str, name: str) -> Wave:
    """The signal `name` below the instance `scope`: the one with the shortest path."""
    found = [path for path in waves if f".{scope}." in path and path.endswith(f".{name}")]
    if not found:
        raise DeepDiveError(f"The waveform has no signal '{name}' in '{scope}'.")
    return waves[min(found, key=len)]


def draw(wave: Wave, cycles: range, top: int) -> list[str]:
    """A level for a bit, a box with its hexadecimal value for each run of equal values of a bus."""
    values = [wave.at(2 * cycle) for cycle in cycles]
    low = top + HIGH
    parts: list[str] = []
    path: list[str] = []
    if wave.bits == 1:
        for index, value in enumerate(values):
            y, x = (top if value else low), LEFT + index * COLUMN
            path.append(f"{'L' if path else 'M'}{x} {y}H{x + COLUMN}")
        return [f'<path d="{"".join(path)}"/>']
    start = 0
    for index in range(1, len(values) + 1):
        if index < len(values) and values[index] == values[start]:
            continue
        x, end = LEFT + start * COLUMN, LEFT + index * COLUMN
        parts.append(f'<path d="M{x} {top}H{end - 3}L{end} {(top + low) / 2}L{end - 3} {low}H{x}"/>')
        text = f"{values[start]:x}"
        if len(text) * 8 < end - x:
            parts.append(f'<text x="{x + 4}" y="{low - 4}">{text}</text>')
        start = index
    return parts


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vcd", type=Path)
    parser.add_argument("svg", type=Path)
    parser.add_argument("signals", nargs="+")
    parser.add_argument("--scope", required=True, help="instance that holds the signals")
    parser.add_argument("--cycles", type=int, nargs=2, default=(0, 30))
    given = parser.parse_args()
    waves, cycles = read_vcd(given.vcd), range(given.cycles[0], given.cycles[1] + 1)
    width, height = LEFT + COLUMN * len(cycles) + 10, 30 + ROW * len(given.signals)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"><style>{STYLE}</style>']
    lines.append('<rect width="100%" height="100%" fill="#fff"/>')
    for index, cycle in enumerate(cycles):
        x = LEFT + index * COLUMN
        lines.append(f'<line x1="{x}" y1="20" x2="{x}" y2="{height}"/><text x="{x + 2}" y="14">{cycle}</text>')
    for row, name in enumerate(given.signals):
        top = 28 + row * ROW
        lines.append(f'<text x="6" y="{top + 14}">{escape(name)}</text>')
        lines += draw(find(waves, given.scope, name), cycles, top)
    write_text(given.svg, "\n".join((*lines, "</svg>", "")))


if __name__ == "__main__":
    main()
