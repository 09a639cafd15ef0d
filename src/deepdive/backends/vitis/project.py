"""Writes the C++ project of a design."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from deepdive.backends.render import render
from deepdive.backends.vitis.tcl import FRAMES, write_board
from deepdive.backends.vitis.unit_code import UnitCode, unit_code
from deepdive.compiler.design import Design
from deepdive.errors import DeepDiveError
from deepdive.qnet import QNet

LIBRARY = ("deepdive", "include", "testbench")
"""Folders of `deepdive.hardware.hls` that every project gets a copy of."""


def write_project(design: Design, net: QNet, folder: Path) -> None:
    """Write the C++ project into `folder`, which exists.

    ``deepdive/`` holds the stage templates, ``include/`` stand-ins for the vendor's headers, ``units/`` the units,
    ``weights/`` what they read from memory while they run; ``make csim`` runs the test bench, ``make bounded`` the one
    whose streams are no deeper than in hardware.
    ``tcl/`` and ``cosim/`` are for the vendor's tools; the project's README says how.

    Raises
    ------
    DeepDiveError
        When the design counts on instances of DSPs.
    """
    if design.dsp_instances:
        raise DeepDiveError(
            "The design's multipliers are instances of DSPs, which C++ does not have; write it with backend 'rtl', or "
            "compile without DSP instances."
        )
    units = [unit_code(unit, net) for unit in design.units]
    copy_library(folder)
    (folder / "units").mkdir()
    for unit in units:
        write_unit(unit, folder)
    render("testbench.cpp", folder / "testbench.cpp", units=units)
    render("Makefile", folder / "Makefile", units=units, golden_frames=FRAMES)
    (folder / "bounded").mkdir()
    render("bounded.cpp", folder / "bounded.cpp", units=units)
    for unit in units:
        render("bounded_unit.cpp", folder / "bounded" / f"{unit.name}.cpp", unit=unit)
    write_board(design, units, folder)


def copy_library(folder: Path) -> None:
    """Copy what all projects share."""
    with as_file(files("deepdive.hardware.hls")) as library:
        for name in LIBRARY:
            shutil.copytree(library / name, folder / name)


def write_unit(unit: UnitCode, folder: Path) -> None:
    """Write a unit's source, header, ROMs and the weights that it reads from memory."""
    render("unit.h", folder / "units" / f"{unit.name}.h", unit=unit)
    render("unit.cpp", folder / "units" / f"{unit.name}.cpp", unit=unit)
    if unit.roms:
        render("rom.h", folder / "units" / f"{unit.name}_rom.h", unit=unit)
    for stage in unit.shared:
        render("shared.h", folder / "units" / f"{stage.name}.h", unit=unit, stage=stage, shared=stage.shared)
    for buffer in unit.images:
        (folder / "weights").mkdir(exist_ok=True)
        assert buffer.image is not None
        (folder / "weights" / f"{unit.name}_{buffer.name}.bin").write_bytes(buffer.image.tobytes())
