"""DSP instances as part of a design: every multiplier of a DSP has them, LUTs become fewer, C++ refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import deepdive
from deepdive.compiler.budget import KINDS, Budget
from deepdive.compiler.compile import compile
from deepdive.compiler.explain import explain
from deepdive.compiler.front import find_front
from deepdive.compiler.partition import partition
from deepdive.compiler.shared import blocks_of
from deepdive.compiler.shared_cost import PartCosts
from deepdive.compiler.shared_cycles import Foldings
from deepdive.errors import DeepDiveError
from deepdive.hardware.stages import Dense, Depthwise, SharedBody
from deepdive.hardware.stages.shared_chain import common
from networks import Block, Numbers, Separable, four_block_network
from unit.test_sharing import board_with

NET = Separable(32, 32, (8, 8), (Block(8), Block(12, stride=2), Block(12)), activations=Numbers(weight_bits=4)).build(0)


def test_every_multiplier_is_an_instance() -> None:
    """And a design of the same speed takes fewer LUTs, and no more DSPs."""
    net = four_block_network(weight_bits=4)
    plain, design = (compile(net, board="zcu102", dsp_instances=instances) for instances in (False, True))
    found = [stage for unit in design.units for stage in unit.stages if isinstance(stage, Dense | Depthwise)]
    assert len(found) > 4
    assert all(stage.cascade for stage in found)
    assert (plain.dsp_instances, design.dsp_instances) == (False, True)
    assert design.frame_interval_cycles == plain.frame_interval_cycles
    assert design.resources.lut < plain.resources.lut
    for stage in found:
        assert stage.model_copy(update={"cascade": False}).resources().dsp == stage.resources().dsp


def test_a_design_is_looked_at_with_its_instances() -> None:
    """The front holds the design itself, which lies on it, and what is said of half the interval counts cascades."""
    plain, design = (compile(NET, board=board_with(dsp=60), dsp_instances=instances) for instances in (False, True))
    fronts = [find_front(NET, one, Budget()) for one in (plain, design)]
    assert [sum(point.chosen for point in front.points) for front in fronts] == [1, 1]
    slowest = [max(front.points, key=lambda point: point.frame_interval_cycles) for front in fronts]
    assert slowest[1].resources.lut <= slowest[0].resources.lut  # single lanes sum little
    needed = [explain(NET, one, Budget()).needed["LUT"][0] for one in (plain, design)]
    assert needed[1] < needed[0]


def test_shared_units_have_them() -> None:
    design = compile(NET, board=board_with(dsp=40), sharing="always", dsp_instances=True)
    bodies = [stage for unit in design.units for stage in unit.stages if isinstance(stage, SharedBody)]
    assert bodies
    for body in bodies:
        parts = [stage for block in body.blocks for stage in body.chain(block)]
        assert all(stage.cascade for stage in parts if isinstance(stage, Dense | Depthwise))


def test_the_search_counts_them_in_shared_units() -> None:
    """Every folding takes fewer LUTs, and as many DSPs; where the depthwise multipliers are LUTs, too."""
    blocks = blocks_of(next(plan for plan in partition(NET) if plan.kind == "body").operations)
    rows = [(4, 8, 4, 4, 9, 8, 4, 4, 4), (2, 4, 2, 8, 9, 4, 2, 2, 8), (2, 16, 4, 4, 3, 4, 4, 4, 4)]
    foldings = Foldings.of(np.array(rows).T)
    plain, cascades = (PartCosts(blocks, foldings, common(blocks, cascade=cascade)) for cascade in (False, True))
    lut, dsp = KINDS.index("lut"), KINDS.index("dsp")
    for before, after in ((plain.in_dsps, cascades.in_dsps), (plain.in_luts, cascades.in_luts)):
        assert (after[:, lut] < before[:, lut]).all()
        assert (after[:, dsp] == before[:, dsp]).all()


def test_cpp_refuses_a_design_of_instances(tmp_path: Path) -> None:
    design = deepdive.compile(four_block_network(), board="zcu102", dsp_instances=True)
    with pytest.raises(
        DeepDiveError, match="are instances of DSPs, which C\\+\\+ does not have; write it with backend 'rtl'"
    ):
        design.write(tmp_path / "build")
    assert not (tmp_path / "build").exists()
