"""What open synthesis leaves: modules of FPGA primitives, and how many of which they hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepdive.hardware.resources import Resources

LUTS = {
    **{f"LUT{inputs}": 1 for inputs in range(1, 7)},
    "RAM32X1S": 1,
    "RAM64X1S": 1,
    "RAM32X1D": 2,
    "RAM64X1D": 2,
    "RAM128X1S": 2,
    "RAM128X1D": 4,
    "RAM256X1S": 4,
    "RAM256X1D": 8,
    "RAM512X1S": 8,
    "RAM32M": 4,
    "RAM64M": 4,
    "RAM32M16": 8,
    "RAM64M8": 8,
    "SRL16E": 1,
    "SRLC32E": 1,
}
"""LUTs that a cell occupies; UG974 and UG953, the libraries guides. Inverters vanish into the LUTs behind them."""
BLOCK_RAMS = {"RAMB36E2": 1.0, "RAMB36E1": 1.0, "RAMB18E2": 0.5, "RAMB18E1": 0.5}
REGISTERS = ("FDRE", "FDSE", "FDCE", "FDPE")

Bit = int | str
"""A net's number, or ``"0"``, ``"1"``, ``"x"``."""


@dataclass(frozen=True)
class Port:
    """A port of a module: whether it is an input, and its nets."""

    is_input: bool
    bits: tuple[Bit, ...]


@dataclass(frozen=True)
class Cell:
    """An instance of a primitive or of a module: its type, the nets of its ports, and its parameters."""

    kind: str
    inputs: Mapping[str, tuple[Bit, ...]]
    outputs: Mapping[str, tuple[Bit, ...]]
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Module:
    """A module; its nets have numbers of its own, and most of them names."""

    ports: Mapping[str, Port]
    cells: Mapping[str, Cell]
    names: Mapping[Bit, str]


def read_netlist(path: Path) -> dict[str, Module]:
    """The modules, by name, of the JSON that Yosys' `write_json` wrote; those of its own library are left out."""
    modules = json.loads(path.read_text(encoding="utf-8"))["modules"]
    return {name: _module(found) for name, found in modules.items() if "blackbox" not in found.get("attributes", {})}


def _module(found: dict[str, Any]) -> Module:
    ports = {name: Port(port["direction"] == "input", tuple(port["bits"])) for name, port in found["ports"].items()}
    names: dict[Bit, str] = {}
    for name, net in found["netnames"].items():
        for bit in net["bits"] if not net["hide_name"] else ():
            names.setdefault(bit, name)
    return Module(ports, {name: _cell(cell) for name, cell in found["cells"].items()}, names)


def _cell(found: dict[str, Any]) -> Cell:
    nets: dict[str, dict[str, tuple[Bit, ...]]] = {"input": {}, "output": {}}
    for port, direction in found["port_directions"].items():
        nets[direction][port] = tuple(found["connections"].get(port, ()))
    parameters = {name: str(value) for name, value in found["parameters"].items()}
    return Cell(found["type"], nets["input"], nets["output"], parameters)


def primitives(name: str, modules: Mapping[str, Module]) -> Counter[str]:
    """Primitives by type in a module and in all that it instantiates."""
    total: Counter[str] = Counter()
    for kind, number in Counter(cell.kind for cell in modules[name].cells.values()).items():
        if kind not in modules:
            total[kind] += number
            continue
        for inner, inside in primitives(kind, modules).items():
            total[inner] += number * inside
    return total


def resources(cells: Mapping[str, int]) -> Resources:
    """FPGA resources of primitives."""
    return Resources(
        dsp=sum(number for kind, number in cells.items() if kind.startswith("DSP48")),
        lut=sum(LUTS.get(kind, 0) * number for kind, number in cells.items()),
        ff=sum(cells.get(kind, 0) for kind in REGISTERS),
        bram36=sum(BLOCK_RAMS.get(kind, 0.0) * number for kind, number in cells.items()),
        uram=cells.get("URAM288", 0),
    )
