"""The board project: scripts for Vitis HLS and Vivado, a test bench a unit, a README."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepdive.backends.render import render
from deepdive.backends.vitis.stages import printable
from deepdive.backends.vitis.unit_code import UnitCode
from deepdive.backends.vivado.system import system
from deepdive.compiler.design import Design
from deepdive.errors import DeepDiveError
from deepdive.hardware.boards import Board
from deepdive.hardware.stream import Stream
from deepdive.hardware.units import Unit

STIMULUS = "cosim/input.bin"
FRAMES = 2
"""Frames of the units' test benches: the second sees what the first left behind."""

FIFO_DEPTHS = tuple(16 << n for n in range(12))
"""Depths that an AXI4-Stream Data FIFO can have (PG085)."""

REGISTERED_BEATS = 2
"""Beats that a unit's own ports hold: a stream of that depth needs no FIFO."""


@dataclass(frozen=True)
class Chain:
    """The units one after the other.

    Parameters
    ----------
    fifo_depths
        Of the FIFO behind each unit; 0 for none.
    """

    units: tuple[str, ...]
    fifo_depths: tuple[int, ...]
    fingerprint_words: tuple[str, ...]


def write_board(design: Design, units: Sequence[UnitCode], folder: Path) -> None:
    """Write the scripts and test benches into a project's folder."""
    board = system(design, sum(len({port.bundle for port in unit.ports}) for unit in units))
    for name in ("tcl", "tcl/units", "cosim"):
        (folder / name).mkdir()
    render("component.tcl", folder / "tcl" / "component.tcl")
    render("last_beat.v", folder / "tcl" / "last_beat.v")
    if board.family:
        chain = Chain(
            units=tuple(unit.name for unit in units),
            fifo_depths=tuple(fifo_depth(unit.output) for unit in design.units),
            fingerprint_words=tuple(f"0x{design.fingerprint[start : start + 8]}" for start in (0, 8)),
        )
        render("units.tcl", folder / "tcl" / "system.tcl", board=board, chain=chain)
    period_ns = f"{1000 / design.clock_mhz:.3f}"
    stimulus = STIMULUS
    for unit, code in zip(design.units, units, strict=True):
        values = {"part": board.part, "period_ns": period_ns, "stimulus": stimulus, "frames": FRAMES}
        render("unit.tcl", folder / "tcl" / "units" / f"{code.name}.tcl", unit=code, **values)
        sizes = {"input_codes": codes(unit.input), "output_codes": codes(unit.output)}
        render("cosim.cpp", folder / "cosim" / f"{code.name}.cpp", unit=code, **sizes)
        stimulus = f"csim/golden/{code.name}.bin"
    (folder / STIMULUS).write_bytes(stimulus_codes(design.units[0]))
    names = {"network": printable(design.network), "title": title(design.board), "fingerprint": design.fingerprint}
    render("README.md", folder / "README.md", board=board, units=units, frames=FRAMES, **names)


def fifo_depth(stream: Stream) -> int:
    """Depth of the FIFO that carries a stream between units: at least what the compiler asks for."""
    if stream.depth <= REGISTERED_BEATS:
        return 0
    if stream.depth > FIFO_DEPTHS[-1]:
        raise DeepDiveError(
            f"Stream '{stream.name}' wants a FIFO of {stream.depth} beats between two units, and the deepest has "
            f"{FIFO_DEPTHS[-1]}; compile the network for a smaller input."
        )
    return next(depth for depth in FIFO_DEPTHS if depth >= stream.depth)


def codes(stream: Stream) -> int:
    """Codes a frame."""
    return stream.height * stream.width * stream.channels


def stimulus_codes(unit: Unit) -> bytes:
    """Input codes of the first unit's test bench: drawn from all that its bits hold, always the same."""
    low = -(1 << (unit.input.bits - 1)) if unit.input.signed else 0
    drawn = np.random.default_rng(0).integers(low, low + (1 << unit.input.bits), FRAMES * codes(unit.input))
    return drawn.astype(np.uint8).tobytes()


def title(board: Board) -> str:
    """The board's title as one line of plain text."""
    return re.sub(r"[^A-Za-z0-9 ().+-]", "_", board.title)
