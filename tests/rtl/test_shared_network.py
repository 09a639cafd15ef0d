"""A whole design in RTL, shared units between streamed ones: every unit equals the reference, cycles the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deepdive.backends.verilog import write_project
from deepdive.compiler.design import Design
from deepdive.compiler.shared import Sharing
from deepdive.hardware.boards import load_board
from deepdive.qnet import QNet
from deepdive.simulation.bench import Run
from deepdive.simulation.compare import compare
from deepdive.simulation.rtl import RtlSimulation, compile_simulator, simulate
from networks import Block, Numbers, Separable, random_codes
from rtl.test_shared_body import SMALL
from shared_designs import shared_design

FRAMES = 5
BLOCKS = (Block(6), Block(10, 4, 5, 2, squeeze=4), Block(10, expand=1), Block(10, 3, squeeze=3, tables=True))


@pytest.fixture(scope="module", params=["on_chip", "external"])
def mixed(module_folder: Path, request: pytest.FixtureRequest) -> tuple[QNet, Design, Path]:
    net = Separable(22, 18, (8, 6), BLOCKS, activations=Numbers(weight_bits=4)).build(1)
    sharing = Sharing(SMALL, maps=request.param, weights=request.param, batch=2)
    design = shared_design(net, load_board("zcu102"), [(4, sharing)], seed=1)
    folder = module_folder / request.param
    folder.mkdir()
    write_project(design, net, folder)
    return net, design, compile_simulator(folder, design, jobs=1, optimize="-O0")


@pytest.mark.parametrize("how", [Run(FRAMES), Run(FRAMES, 3, 60, 60), Run(1)])
def test_every_unit_equals_the_reference(mixed: tuple[QNet, Design, Path], how: Run) -> None:
    net, design, program = mixed
    images = random_codes(net, how.frames, seed=how.seed)
    found = simulate(program, design, net, images, how)
    assert list(found.maps) == [unit.output_map for unit in design.units]
    result = compare(found.maps, net.run(images, every=True))
    assert (result.differing, result.first_difference) == (0, None)
    if how == Run(FRAMES):
        # Batches of two leave one after the other.
        ends = found.frames[:, 1]
        assert (ends[2:] - ends[:-2] <= 2 * design.frame_interval_cycles).all(), np.diff(ends)
        assert found.batch == 2
        assert found.frame_interval_cycles <= design.frame_interval_cycles
        assert found.latency_cycles <= design.latency_cycles


def test_a_first_batch_that_is_not_full_does_not_change_the_interval() -> None:
    """Batches of 1, 2, 4 and 4 frames, a frame each 10 cycles, and one that is left: a full one lasts 400 cycles."""
    ends = [
        first + 10 * frame
        for first, count in ((50, 1), (400, 2), (700, 4), (1100, 4), (1500, 1))
        for frame in range(count)
    ]
    frames = np.stack([np.arange(len(ends)) * 20, ends], axis=1)
    assert RtlSimulation({}, frames, {}, batch=4).frame_interval_cycles == 100


def test_of_single_frames_the_last_two_of_a_fed_pipeline_count() -> None:
    """A pipeline that holds four frames gives one each 100 cycles, and those in front of the last ones later."""
    starts = [0, 80, 170, *range(270, 970, 100)]
    ends = [*range(400, 1100, 100), 1150, 1200, 1250]
    found = RtlSimulation({}, np.array(list(zip(starts, ends, strict=True))), {})
    assert (found.left_while_fed, found.steady_frames, found.frame_interval_cycles) == (6, 10, 100)
    short = RtlSimulation({}, found.frames[:4], {})
    assert (short.left_while_fed, short.steady_frames) == (0, 6)
