"""The emitted C++ project: its text, its names, and what of a stranger's network may reach it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deepdive.backends.vitis import write_project
from deepdive.backends.vitis.rom import pack_scales, pack_weights
from deepdive.compiler.design import Design
from deepdive.hardware.boards import load_board
from deepdive.hardware.constants import Scales
from deepdive.hardware.stages import Dense, Requantizer
from deepdive.qnet import QNet
from foldings import drawn_design
from networks import four_block_network

SEED = 1
"""Of a folding that has weights in LUTs, in block RAM and in external memory, and repacks."""


def emitted(folder: Path, net: QNet, design: Design) -> dict[str, str]:
    """Every text that depends on the design, by path in the project."""
    write_project(design, net, folder)
    paths = [*folder.glob("units/*"), folder / "testbench.cpp", folder / "Makefile"]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in paths}


@pytest.fixture(scope="module")
def net() -> QNet:
    return four_block_network(0)


@pytest.fixture(scope="module")
def design(net: QNet) -> Design:
    found = drawn_design(net, load_board("zcu102"), SEED)
    kinds = {stage.weights for unit in found.units for stage in unit.stages if isinstance(stage, Dense)}
    assert kinds == {"on_chip", "distributed", "external"}
    return found


def test_text_is_the_golden_text(
    net: QNet, design: Design, tmp_path: Path, golden: Callable[[str, Mapping[str, str]], None]
) -> None:
    golden("four_blocks", emitted(tmp_path, net, design))


def test_emission_is_repeatable_and_knows_no_path(net: QNet, design: Design, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = emitted(tmp_path / "a", net, design)
    assert first == emitted(tmp_path / "b", net, design)
    assert not [file for file, text in first.items() if str(tmp_path) in text or "/home" in text]


def test_external_weights_start_on_memory_words(net: QNet, design: Design, tmp_path: Path) -> None:
    write_project(design, net, tmp_path)
    stages = [
        (unit, stage)
        for unit in design.units
        for stage in unit.stages
        if isinstance(stage, Dense) and stage.weights == "external"
    ]
    for unit, stage in stages:
        size = (tmp_path / "weights" / f"{unit.name}_{stage.name}.bin").stat().st_size
        word = -(-stage.multipliers // 16) * 16  # 8-bit weights
        assert size == stage.input.groups * stage.out_groups * word


def test_a_hostile_network_stays_a_comment(net: QNet, tmp_path: Path) -> None:
    hostile = 'x" */ $(shell id) ??/ "; #include "/etc/passwd"'
    nodes = tuple(replace(node, output=replace(node.output, name=f"{hostile}{node.name}\\")) for node in net.nodes)
    renamed = {node.name: new.name for node, new in zip(net.nodes, nodes, strict=True)}
    linked = []
    for node in nodes:
        if hasattr(node, "input"):
            linked.append(replace(node, input=renamed.get(node.input, node.input)))
        else:
            linked.append(replace(node, inputs=tuple(renamed.get(name, name) for name in node.inputs)))
    bad = QNet(hostile, net.input, tuple(linked))
    texts = emitted(tmp_path, bad, drawn_design(bad, load_board("zcu102"), SEED))
    for file, text in texts.items():
        assert "/etc" not in text
        assert "$(shell" not in text
        assert "??/" not in text
        includes = re.findall(r"^\s*#include (.*)$", text, flags=re.MULTILINE)
        assert all(re.fullmatch(r'"(deepdive|units|testbench)/\w+\.h"', name) for name in includes), file


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 8, 9])
def test_packed_weights_unpack(bits: int) -> None:
    """The bytes hold the codes in the order of use, the first in the lowest bits."""
    rng = np.random.default_rng(bits)
    weights = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), (7, 5)).T  # no matter how it lies in memory
    container = {2: 2, 3: 4, 4: 4, 5: 8, 8: 8, 9: 16}[bits]
    for row, packed in zip(weights, pack_weights(weights, bits), strict=True):
        number = int.from_bytes(packed.tobytes(), "little")
        fields = [number >> (container * i) & ((1 << container) - 1) for i in range(7)]
        assert [f - (1 << container) if f >> (container - 1) else f for f in fields] == row.tolist()
        assert len(packed) == -(-7 * container // 8)


def test_packed_scales_hold_their_fields() -> None:
    scales = Scales(np.array([[-5, 7]]), np.array([[65535, 0]]), np.array([[1, 48]]))
    (row,) = pack_scales(scales, Requantizer(acc_bits=20, mult_bits=16)).tolist()
    assert [word & 0xFFFF for word in row] == [65535, 0]
    # Half is rounded up: one bit less is dropped; and never more than all but the sign of a product of 37 bits.
    assert [word >> 16 & 63 for word in row] == [0, 36]
    assert [(word >> 22) - (1 << 32 if word >> 53 else 0) for word in row] == [-5, 7]
    (floor,) = pack_scales(scales, Requantizer(acc_bits=32, mult_bits=16, rounding="floor")).tolist()
    assert [word >> 16 & 63 for word in floor] == [1, 48]
