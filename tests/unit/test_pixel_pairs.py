"""Pairs of pixels in the compiler: every depthwise stage that can takes them, and the pipeline keeps its interval."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from deepdive.compiler import options
from deepdive.compiler.budget import Budget
from deepdive.compiler.build import with_pairs
from deepdive.compiler.compile import compile
from deepdive.compiler.design import Design
from deepdive.compiler.fifos import input_depth, rooms
from deepdive.compiler.options import NO_FOLDING, Catalogue, Limits
from deepdive.compiler.partition import partition
from deepdive.compiler.pipeline import BEHIND, simulate_pipeline
from deepdive.compiler.plan import Edge, Operation, Way
from deepdive.compiler.search import NO_ROOM, Choice
from deepdive.errors import CheckFailed
from deepdive.hardware.boards import load_board
from deepdive.hardware.stages import PIPELINE_CYCLES, Depthwise, PixelPair, Stage, Window
from deepdive.qnet import QNet
from networks import Block, Numbers, Separable, four_block_network, separable_networks
from stage_simulation import frame_ends

MANY = 1_000_000


def stages(design: Design) -> list[Stage]:
    return [stage for unit in design.units for stage in unit.stages]


def depthwise(design: Design) -> list[Depthwise]:
    return [stage for stage in stages(design) if isinstance(stage, Depthwise)]


def folded(net: QNet, fps: float) -> Design:
    return compile(net, board="zcu102", objective="min-resources", target_fps=fps, sharing="never")


def steady_interval(design: Design, pipeline: int) -> int:
    """Cycles between two frames once every FIFO and pipeline has found its level; more frames come behind."""
    frames = 4 + 2 * design.latency_cycles // design.frame_interval_cycles
    ends = frame_ends(stages(design), frames, pipeline=pipeline, behind=MANY)
    return ends[-1] - ends[-2]


PLANS = {
    "3x3 and 5x5": Separable(blocks=(Block(8), Block(16, kernel=5, stride=2))),
    "stride 2, then a skip": Separable(24, 32, blocks=(Block(8, stride=2), Block(8, kernel=5), Block(8))),
    "7x7, no expansion": Separable(16, 20, stem=(6, 8), blocks=(Block(8, expand=1, kernel=7), Block(10))),
    "squeeze-excite": Separable(blocks=(Block(8, squeeze=2), Block(8, kernel=5, squeeze=4, tables=True))),
}


@pytest.mark.usefixtures("only_pairs")
@pytest.mark.parametrize("slower", [1, 1.5, 4])
@pytest.mark.parametrize("plan", PLANS)
def test_pairs_keep_the_interval_in_the_very_cycle(plan: str, slower: float) -> None:
    """As fast as a pixel a cycle, where no stage waits for another without loss, and slower."""
    net = PLANS[plan].build(1)
    design = folded(net, 250e6 / (net.input.shape[0] * net.input.shape[1] * slower))
    assert all(stage.pixel_pair for stage in depthwise(design))
    found = simulate_pipeline(design.units, frames=4)
    assert found.frame_ends == tuple(frame_ends(stages(design), 4, pipeline=PIPELINE_CYCLES, behind=BEHIND))
    assert steady_interval(design, PIPELINE_CYCLES) == design.frame_interval_cycles
    assert steady_interval(design, 1) == design.frame_interval_cycles


@pytest.mark.usefixtures("only_pairs")
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(net=separable_networks(), slower=st.sampled_from([1, 2, 5]), pipeline=st.sampled_from([1, 5, PIPELINE_CYCLES]))
def test_random_networks_neither_deadlock_nor_stall(net: QNet, slower: int, pipeline: int) -> None:
    pixels = net.input.shape[0] * net.input.shape[1]
    try:
        design = folded(net, 250e6 / (pixels * slower))
    except CheckFailed:
        assume(False)
    assume(design.frame_interval_cycles < 5000 and any(stage.pixel_pair for stage in depthwise(design)))
    assert steady_interval(design, pipeline) == design.frame_interval_cycles


def windows_of(width: int) -> Edge:
    pair = PixelPair(kernel=(3, 3), step=2)
    return Edge("w", 7, width, 12, 8, False, 9, pixel_pair=pair if width % 2 == 0 else None)


def test_ways_of_windows() -> None:
    """Even lanes may hold two pixels; the stream is then half as wide, its windows as those of both."""
    edge = windows_of(14)
    assert [way for way in edge.ways if way.pixels == 2] == [Way(lanes, 0, 2) for lanes in (2, 4, 6, 12)]
    assert [way for way in edge.ways if way.pixels == 1] == [Way(lanes) for lanes in (1, 2, 3, 4, 6, 12)]
    stream = edge.stream(Way(4, 0, 2))
    assert (stream.width, stream.taps, stream.groups) == (7, 15, 3)
    assert all(way.pixels == 1 for way in windows_of(7).ways)


def test_foldings_of_a_pair() -> None:
    """Both stages between whose edge a pair travels know of it; half of the DSPs at the same cycles."""
    operations = [operation for plan in partition(four_block_network()) for operation in plan.operations]
    window, filters = operations[operations.index(next(o for o in operations if o.kind == "depthwise")) - 1 :][:2]
    limits = Limits(64, 4096, 128, 27)
    made = options.options(window, limits, Catalogue().of(window, NO_ROOM))
    assert {"kernel": (3, 4), "stride": (1, 2)} in made.foldings
    found = options.options(filters, limits, Catalogue().of(filters, NO_ROOM))
    pairs = [row for row, folding in enumerate(found.foldings) if "pixel_pair" in folding]
    assert pairs
    for row in pairs:
        assert found.foldings[row] == {"pixel_pair": PixelPair(kernel=(3, 3), step=1), "pair_field": 18}
        way = filters.outputs[0].ways[found.ways_out[row]]
        alone = next(
            other
            for other, folding in enumerate(found.foldings)
            if not folding and filters.outputs[0].ways[found.ways_out[other]] == way
        )
        assert found.intervals[row] == found.intervals[alone]
        assert found.costs[alone, 0] - found.costs[row, 0] == 9 * way.lanes / 2


def test_weights_too_wide_for_a_narrow_dsp_have_no_pairs() -> None:
    """9-bit weights, 8-bit codes: 25 bits leave a field of 16."""
    net = Separable(blocks=(), activations=Numbers(weight_bits=8, weight_signed=False, weight_zero_points=True)).build(
        0
    )
    operation = next(o for plan in partition(net) for o in plan.operations if o.kind == "depthwise")
    assert operation.fields["weight_bits"] == 9
    for dsp_bits, fits in ((25, False), (27, True)):
        limits = Limits(64, 4096, 128, dsp_bits)
        found = options.options(operation, limits, Catalogue().of(operation, NO_ROOM))
        assert any("pixel_pair" in folding for folding in found.foldings) == fits


def test_half_of_a_pair_waits() -> None:
    operation = Operation("depthwise", "d", (windows_of(14),), (Edge("y", 7, 14, 12, 8, False),))
    assert input_depth(windows_of(14), 5, NO_ROOM, operation, NO_FOLDING) == 2
    assert input_depth(windows_of(14), 5, NO_ROOM, operation, {"pixel_pair": PixelPair(kernel=(3, 3), step=2)}) == 5


def test_a_skip_beside_a_pair_by_hand() -> None:
    """Expand, 3x3 depthwise and project on an 8x8 map, a beat a pixel; the window looks a pixel further ahead."""
    operations = [operation for plan in partition(four_block_network()) for operation in plan.operations]
    add = next(operation for operation in operations if operation.kind == "add")
    edge = next(edge for operation in operations for edge in operation.outputs if edge.name == "body1_window_out")
    pair = Way(2, 0, 2)
    folded = []
    for operation in operations:
        taken = tuple(pair if source.name == edge.name else Way(1) for source in operation.inputs)
        given = tuple(pair if target.name == edge.name else Way(1) for target in operation.outputs)
        folding = {"kernel": (3, 4), "stride": (1, 2)} if edge in operation.outputs else NO_FOLDING
        folded.append(with_pairs(operation, Choice(taken, taken, given, folding))[0])
    lag = 8 + 2
    # Expand and project keep two pixels, the depthwise stage a pair; a beat in the window's pipeline is a pair.
    held = 3 * (2 + PIPELINE_CYCLES) + 2 * PIPELINE_CYCLES
    assert rooms(folded, lambda edge: 1)[add.inputs[0].name].skipped == lag + 1 + held


def test_a_board_short_of_dsps_takes_pairs() -> None:
    """Their windows are ordinary ones, a stride wider, and the design goes through its file."""
    board = load_board("zcu102")
    short = board.model_copy(update={"resources": board.resources.model_copy(update={"dsp": 150, "lut": 30_000})})
    design = compile(four_block_network(), board=short, budget=Budget(), sharing="never")
    assert any(stage.pixel_pair for stage in depthwise(design))
    assert Design.model_validate_json(design.model_dump_json()) == design
    windows = {stage.output.name: stage for stage in stages(design) if isinstance(stage, Window)}
    for stage in depthwise(design):
        if stage.pixel_pair:
            assert windows[stage.input.name].kernel == stage.pixel_pair.window
            assert windows[stage.input.name].stride[1] == 2 * stage.pixel_pair.step
