"""Writes the C++ project of a design."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from deepdive.backends.vitis.stage_code import ExternalWeights
from deepdive.backends.vitis.unit_code import UnitCode, unit_code
from deepdive.compiler.design import Design
from deepdive.qnet import QNet

LIBRARY = ("deepdive", "include", "testbench")
"""Folders of `deepdive.hardware.hls` that every project gets a copy of."""

MEMORY_WORD_BYTES = 16
"""As in ``deepdive/external_weights.h``."""


def write_project(design: Design, net: QNet, folder: Path) -> None:
    """Write the C++ project into `folder`, which exists.

    ``deepdive/`` holds the stage templates, ``include/`` stand-ins for the vendor's headers, ``units/`` the units,
    ``weights/`` what they read from memory while they run; ``make csim`` runs the test bench.
    """
    units = [unit_code(unit, net) for unit in design.units]
    copy_library(folder)
    (folder / "units").mkdir()
    for unit in units:
        write_unit(unit, folder)
    render("testbench.cpp", folder / "testbench.cpp", units=units)
    render("Makefile", folder / "Makefile", units=units)


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
    for external in unit.externals:
        (folder / "weights").mkdir(exist_ok=True)
        (folder / "weights" / f"{unit.name}_{external.name}.bin").write_bytes(memory_image(external).tobytes())


def memory_image(external: ExternalWeights) -> np.ndarray:
    """uint8 (words, bytes): each weight word starts on a memory word."""
    spare = -external.bytes.shape[1] % MEMORY_WORD_BYTES
    return np.pad(external.bytes, ((0, 0), (0, spare)))


def memory_words(external: ExternalWeights) -> int:
    """Memory words that a stage's weights take."""
    return memory_image(external).size // MEMORY_WORD_BYTES


def environment() -> Environment:
    """The templates; an unknown name in one is an error."""
    made = Environment(
        loader=PackageLoader("deepdive.backends.vitis"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    made.filters["memory_words"] = memory_words
    return made


ENVIRONMENT = environment()


def render(template: str, path: Path, **values: UnitCode | Iterable[UnitCode]) -> None:
    """Fill a template into a file."""
    path.write_text(ENVIRONMENT.get_template(f"{template}.jinja").render(**values), encoding="utf-8")
