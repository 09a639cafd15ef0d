"""Writes the Verilog project of a Design: units, the accelerator around them, weights, scripts for Vivado."""

from __future__ import annotations

from pathlib import Path

from amaranth.hdl import Elaboratable

from deepdive.backends.verilog.contents import memory_contents
from deepdive.backends.verilog.emit import emit
from deepdive.backends.verilog.vivado import write_vivado
from deepdive.compiler.design import Design
from deepdive.files import write_bytes, write_text
from deepdive.hardware.rtl.accelerator import AcceleratorComponent
from deepdive.hardware.rtl.dsp_column import MODULE as DSP_MODULE
from deepdive.hardware.rtl.dsp_column import dsp_kind, mac_column
from deepdive.hardware.rtl.memories import MEMORY_MODULES, memory_module
from deepdive.hardware.rtl.patience import pauses
from deepdive.hardware.rtl.unit import UnitComponent
from deepdive.qnet import QNet

TOP = "deepdive_accelerator"
FILE_LIST = "files.f"
DSP_FILE = f"{DSP_MODULE}.v"
"""There when multipliers are instances of the device's primitive."""


def write_project(design: Design, net: QNet, folder: Path) -> None:
    """Write the project into `folder`, which exists.

    ``$readmemh`` finds the weights (``*.mem``) when the simulator or the synthesis runs in this folder, or when they
    are among Vivado's sources, as `package.tcl` puts them. Weights of external memory lie in ``*.bin``.

    Where the design has cascades, the multipliers of columns are instances of the board's DSP48E1 or DSP48E2 instead
    of ``*``.

    Raises
    ------
    DeepDiveError
        Naming a stage that has no RTL, or a column that is too wide for the DSP.
    """
    wait = pauses(design.units)
    units = {unit.name: UnitComponent(unit, net, wait) for unit in design.units}
    columns = sorted({shape for unit in units.values() for shape in unit.columns}, key=lambda shape: shape.name)
    kind = dsp_kind(design.board.part)
    modules: dict[str, Elaboratable] = {shape.name: mac_column(shape, kind) for shape in columns}
    modules |= units
    modules[TOP] = AcceleratorComponent(design.units, design.fingerprint)
    names = list(MEMORY_MODULES)
    for name in MEMORY_MODULES:
        write_text(folder / name, memory_module(name))
    if any(shape.cascade for shape in columns):
        write_text(folder / DSP_FILE, memory_module(f"deepdive_{kind}.v"))
        names.append(DSP_FILE)
    for name, verilog in emit(modules).items():
        write_text(folder / f"{name}.v", verilog)
        names.append(f"{name}.v")
    for unit in units.values():
        for image in unit.roms:
            write_text(folder / f"{image.name}.mem", image.text())
    for stage in (stage for unit in design.units for stage in unit.stages):
        for name, data in memory_contents(stage, net).items():
            write_bytes(folder / f"{name}.bin", data)
    write_text(folder / FILE_LIST, "".join(f"{name}\n" for name in names))
    write_vivado(design, TOP, folder)
