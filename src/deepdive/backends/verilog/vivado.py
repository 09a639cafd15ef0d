"""Vivado's part of the RTL project: packaging as an IP core, the system around it, one Makefile."""

from __future__ import annotations

from pathlib import Path

from deepdive.backends.render import render
from deepdive.backends.vivado.system import system
from deepdive.compiler.design import Design
from deepdive.hardware.rtl.unit import unit_memories

CORE = "accelerator"
"""Name of the accelerator in the block design, beside the DMA `dma`; the runtime knows both."""


def write_vivado(design: Design, top: str, folder: Path) -> None:
    """Write ``package.tcl``, ``tcl/system.tcl`` where the board is a Zynq's, and a Makefile that runs them."""
    masters = [master for unit in design.units for memory in unit_memories(unit) for master in memory.masters]
    board = system(design, len(masters))
    ports = ["s_axis", "m_axis", "s_axi", *(f"m_axi_{master}" for master in masters)]
    render("package.tcl", folder / "package.tcl", part=design.board.part, top=top, ports=ports)
    if board.family:
        (folder / "tcl").mkdir()
        render("accelerator.tcl", folder / "tcl" / "system.tcl", board=board, top=top, core=CORE)
    render("rtl.mk", folder / "Makefile", board=board)
