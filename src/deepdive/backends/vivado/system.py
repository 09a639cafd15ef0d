"""What the script of a board's system says of a design, whichever backend wrote its accelerator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from deepdive.compiler.design import Design
from deepdive.errors import DeepDiveError
from deepdive.hardware.boards import Board
from deepdive.hardware.stream import Stream

Family = Literal["zynq-ultrascale", "zynq-7000"]

DMA_BITS = (8, 16, 32, 64, 128, 256, 512, 1024)
"""Widths that the stream of an AXI DMA can have (PG021)."""

SMARTCONNECT_PORTS = 16


@dataclass(frozen=True)
class Port:
    """A stream between memory and a unit; a code is a byte.

    Parameters
    ----------
    unit_bits, dma_bits
        Width at the unit, and at the DMA: the same where the DMA can have it.
    beats
        Of the unit's stream, a frame.
    """

    unit_bits: int
    dma_bits: int
    beats: int


@dataclass(frozen=True)
class System:
    """All texts are safe to stand in Tcl as they are.

    Parameters
    ----------
    weight_ports
        Memory ports for weights and maps, besides the DMA's.
    """

    family: Family | None
    part: str
    board_part: str
    clock_mhz: str
    input: Port
    output: Port
    port_bits: int
    weight_ports: int


def system(design: Design, masters: int) -> System:
    """The system around an accelerator that reaches memory through so many masters.

    Raises
    ------
    DeepDiveError
        When they are more than the board's ports can serve.
    """
    board = design.board
    spare = board.memory.ports - 1
    if masters > spare * SMARTCONNECT_PORTS:
        raise DeepDiveError(
            f"{masters} stages read weights from memory, and the {spare} free ports of '{board.name}' serve "
            f"{spare * SMARTCONNECT_PORTS}; compile for a board with more memory on chip."
        )
    return System(
        family=family(board),
        part=board.part,
        board_part=board.board_part,
        clock_mhz=f"{design.clock_mhz:g}",
        input=port(design.units[0].input, board),
        output=port(design.units[-1].output, board),
        port_bits=board.memory.port_bits,
        weight_ports=min(masters, spare),
    )


def family(board: Board) -> Family | None:
    """Which processor sits beside the logic, by the device's name; None where no script knows it."""
    if board.part.startswith("xc7z"):
        return "zynq-7000"
    if board.part.startswith(("xczu", "xck")):
        return "zynq-ultrascale"
    return None


def port(stream: Stream, board: Board) -> Port:
    """The stream at one end of the chain of units."""
    bits = 8 * stream.lanes
    fits = bits in DMA_BITS and bits <= board.memory.port_bits
    return Port(bits, bits if fits else board.memory.port_bits, stream.beats)
