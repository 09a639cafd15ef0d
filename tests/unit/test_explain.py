"""What `compile --explain` says of a design."""

from __future__ import annotations

import pytest

from deepdive.compiler.budget import Budget, budget_of
from deepdive.compiler.compile import compile
from deepdive.compiler.explain import explain
from deepdive.errors import DeepDiveError
from deepdive.hardware.boards import load_board
from networks import four_block_network


def test_two_pixels_a_cycle_are_the_end() -> None:
    net = four_block_network()
    design = compile(net, board="zcu102")
    found = explain(net, design, Budget())
    assert found.needed == {}
    assert "head_window" in found.bottleneck
    assert found.interval_cycles == design.frame_interval_cycles == 128
    text = " ".join(found.lines)
    assert "The frame interval of 128 cycles is set by" in text
    assert "Twice as fast (64 cycles) is out of reach of any folding" in text
    assert "Simulated (discrete-event): a frame every 128 cycles" in text


def test_what_twice_the_speed_would_take() -> None:
    net = four_block_network()
    board = load_board("zcu102")
    small = board.model_copy(update={"name": "small", "resources": board.resources.model_copy(update={"lut": 16_000})})
    design = compile(net, board=small)
    assert design.frame_interval_cycles > 512
    found = explain(net, design, Budget())
    least, allowed = found.needed["LUT"]
    assert allowed == pytest.approx(0.7 * 16_000)
    # It really takes that: no folding of half the interval fits with less.
    tight = board.model_copy(update={"resources": board.resources.model_copy(update={"lut": int(least / 0.7) - 200})})
    half = design.frame_interval_cycles // 2
    assert compile(net, board=tight).frame_interval_cycles > half
    assert found.loads["LUT"] > 0.7
    assert found.summary()["half_interval"]["LUT"] == {"least": least, "allowed": allowed}


def test_utilization() -> None:
    assert budget_of(None) == Budget()
    assert budget_of(0.3).lut == budget_of(0.3).dsp == 0.3
    for share in (0, -1, 1.5, float("nan")):
        with pytest.raises(DeepDiveError, match=r"is no share of 0\.\.1; 0\.5 is half of the board"):
            budget_of(share)
    net = four_block_network()
    design = compile(net, board="pynq-z2", budget=budget_of(0.3))
    used, available = design.resources.model_dump(), design.board.resources.model_dump()
    assert all(used[kind] <= 0.3 * available[kind] for kind in ("dsp", "lut", "ff", "bram36"))
