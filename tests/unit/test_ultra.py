"""FIFOs in UltraRAM: which ones, how many, and what the emitted projects say of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepdive.backends.vitis import write_project
from deepdive.compiler.budget import Budget
from deepdive.compiler.compile import compile as compile_network
from deepdive.compiler.design import Design
from deepdive.compiler.explain import explain
from deepdive.compiler.ultra import PAYS, in_ultra
from deepdive.errors import CheckFailed
from deepdive.hardware.boards import Board, load_board
from deepdive.hardware.memory import Memory
from deepdive.hardware.resources import Resources
from deepdive.hardware.stream import Stream
from deepdive.qnet import QNet
from networks import Block, Separable

NET: QNet = Separable(64, 64, (8, 16), (Block(16, squeeze=4), Block(16)), features=16, classes=4).build(0)
"""A map of 32x32x64 codes waits for factors."""


@pytest.fixture(scope="module")
def design() -> Design:
    return compile_network(NET, board="zcu104", sharing="never")


def ultra(design: Design) -> list[Stream]:
    return [stream for unit in design.units for stream in unit.streams if stream.ultra]


@pytest.mark.parametrize(
    ("depth", "width", "uram", "lut"),
    [(4096, 72, 1, 0), (100, 73, 2, 0), (4097, 72, 2, 72), (20_000, 8, 5, 2 * 8)],  # five are joined by two LUTs a bit
)
def test_ultra_ram_by_hand(depth: int, width: int, uram: int, lut: int) -> None:
    memory = Memory(name="m", depth=depth, width=width, banks=3, storage="ultra")
    assert memory.resources == Resources(uram=3 * uram, lut=3 * lut)


def test_what_ultra_ram_cannot_be() -> None:
    with pytest.raises(ValueError, match="memory 'm': a ROM in UltraRAM, which a bitstream cannot fill"):
        Memory(name="m", depth=4096, width=72, read_only=True, storage="ultra")
    with pytest.raises(ValueError, match="stream 's': a FIFO of 2 beats is registers, not UltraRAM"):
        Stream(name="s", height=1, width=1, channels=1, lanes=1, bits=8, ultra=True)


def test_a_waiting_map_lies_in_ultra_ram(design: Design) -> None:
    found = ultra(design)
    assert any("fork" in stream.name for stream in found)
    assert design.resources.uram == sum(stream.resources.uram for stream in found) > 0
    for stream in found:
        before = stream.model_copy(update={"ultra": False}).resources
        assert before.bram36 >= PAYS * stream.resources.uram
        assert stream.resources.bram36 == 0
    assert not any(unit.output.ultra for unit in design.units)
    assert Design.model_validate_json(design.model_dump_json()) == design


def test_boards_without_it_have_none() -> None:
    assert ultra(compile_network(NET, board="zcu102", sharing="never")) == []


def test_no_more_are_taken_than_allowed(design: Design) -> None:
    plain = in_ultra(design.units, 0)
    units = tuple(unit.model_copy(update={"stages": tuple(flat(stage) for stage in unit.stages)}) for unit in plain)
    counts = []
    for most in range(design.resources.uram + 2):
        used = sum((unit.resources for unit in in_ultra(units, most)), Resources())
        assert used.uram <= most
        counts.append(used.bram36)
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == design.resources.bram36 < counts[0]


def flat(stage: object) -> object:
    """The stage with no FIFO in UltraRAM."""
    ports = {name: value for name, value in stage if isinstance(value, Stream)}  # type: ignore[attr-defined]
    plain = {name: value.model_copy(update={"ultra": False}) for name, value in ports.items()}
    return stage.model_copy(update=plain)  # type: ignore[attr-defined]


def with_rams(bram36: int, uram: int) -> Board:
    big = load_board("zcu104")
    return big.model_copy(update={"resources": big.resources.model_copy(update={"bram36": bram36, "uram": uram})})


def test_the_search_counts_on_it(design: Design) -> None:
    """A board with too few block RAMs for the maps holds them in UltraRAM."""
    bram36 = round(design.resources.bram36 / 0.85) + 2
    assert compile_network(NET, board=with_rams(bram36, 96), sharing="never").fps == design.fps
    with pytest.raises(CheckFailed, match=r"does not fit board 'zcu104'.*BRAM36"):
        compile_network(NET, board=with_rams(bram36, 0), sharing="never")


def test_it_is_said(design: Design, tmp_path: Path) -> None:
    found = explain(NET, design, Budget())
    assert found.loads["URAM"] == pytest.approx(design.resources.uram / (0.85 * 96))
    assert design.summary()["resources"]["uram"] == {"used": design.resources.uram, "available": 96}
    write_project(design, NET, tmp_path)
    text = "".join(path.read_text() for path in sorted((tmp_path / "units").glob("*.cpp")))
    for stream in ultra(design):
        assert f"#pragma HLS bind_storage variable={stream.name}_stream type=fifo impl=uram\n" in text
    assert text.count("impl=uram") == len(ultra(design))
