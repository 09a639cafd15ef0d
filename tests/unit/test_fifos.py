"""FIFO depths: by hand, and against a cycle-by-cycle simulation of the stages' loops."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from deepdive.compiler.compile import compile
from deepdive.compiler.design import Design
from deepdive.compiler.fifos import bursts, early_pixels, rooms
from deepdive.compiler.partition import partition
from deepdive.compiler.pipeline import simulate_pipeline
from deepdive.compiler.plan import Edge, Operation
from deepdive.errors import CheckFailed
from deepdive.hardware.stages import PIPELINE_CYCLES, ChannelScale, ResidualAdd, Stage
from deepdive.qnet import FeatureMap, QNet
from networks import Block, NetworkBuilder, Numbers, Separable, Window, four_block_network, separable_networks
from stage_simulation import Deadlock, frame_ends
from zoo_networks import mobilenet_v2

MANY = 1_000_000


def folded(net: QNet, fps: float) -> Design:
    return compile(net, board="zcu102", objective="min-resources", target_fps=fps)


def stages(design: Design) -> list[Stage]:
    return [stage for unit in design.units for stage in unit.stages]


def steady_interval(design: Design, pipeline: int) -> int:
    """Cycles between two frames once every FIFO and pipeline has found its level; more frames come behind."""
    frames = 4 + 2 * design.latency_cycles // design.frame_interval_cycles
    ends = frame_ends(stages(design), frames, pipeline=pipeline, behind=MANY)
    return ends[-1] - ends[-2]


def test_skip_by_hand() -> None:
    """Expand, 3x3 depthwise and project on an 8x8 map; first with a beat a pixel everywhere, then with four."""
    operations = [operation for plan in partition(four_block_network()) for operation in plan.operations]
    wanted = rooms(operations, lambda edge: 1)
    lag = 8 + 1  # a row of 8 pixels and one: the stem halves 16x16 to 8x8
    held = 2 * 2 + 4 * PIPELINE_CYCLES  # two pixels in each of two dense stages, and four pipelines
    skip = next(operation for operation in operations if operation.kind == "add").inputs[0]
    assert wanted[skip.name].skipped == lag + 1 + held
    fewer = rooms(operations, lambda edge: 4)
    assert fewer[skip.name].skipped == lag + 1 + 2 * 2 + 4 * PIPELINE_CYCLES // 4


def test_a_skip_asks_for_no_room_for_blocks_before_it() -> None:
    """Paths that met behind the first block are one again, however far each of them looked ahead."""
    plan = Separable(blocks=(Block(8), Block(8, kernel=7), Block(8)))
    operations = [operation for plan in partition(plan.build(0)) for operation in plan.operations]
    wanted = rooms(operations, lambda edge: 1)
    first, _, last = (wanted[operation.inputs[0].name] for operation in operations if operation.kind == "add")
    assert first == last


def test_sums_of_a_pool_wait_for_a_slower_reader() -> None:
    net, plain = NetworkBuilder(FeatureMap("image", (6, 6, 4)), 3), Numbers()
    net.linear("classes", net.global_avg_pool("pool", net.source, plain), 6, plain)
    (pool,) = (o for plan in partition(net.build()) for o in plan.operations if o.kind == "global_avg_pool")
    operations = [operation for plan in partition(net.build()) for operation in plan.operations]
    assert early_pixels(operations) == {pool.outputs[0].name: 1}


def test_strided_windows_by_hand() -> None:
    operations = [operation for plan in partition(four_block_network()) for operation in plan.operations]
    # The stem gives rows of 8 windows, half of them too early; the strided body rows of 4.
    assert early_pixels(operations) == {"head_window_out": 4, "body2_depthwise_out": 2, "tail_pool_out": 1}


def test_bursts_by_hand() -> None:
    """18 outputs at once leave as nine beats of two in a row; a repack to single ones takes two cycles for each."""
    x, y, z = (Edge(name, 4, 4, channels, 8, False) for name, channels in (("x", 16), ("y", 36), ("z", 36)))
    dense, repack = Operation("pointwise", "dense", (x,), (y,)), Operation("repack", "repack", (y,), (z,))
    lanes = {"x": 1, "y": 2, "z": 1}
    assert bursts([dense, repack], lambda edge: edge.channels // lanes[edge.name], {"dense": 9}) == {"y": 9}
    wider = {**lanes, "z": 4}
    assert bursts([dense, repack], lambda edge: edge.channels // wider[edge.name], {"dense": 9}) == {}


@pytest.mark.parametrize("slower", [1.0, 1.25, 1.5625, 2.5])
def test_mobilenet_runs_at_the_interval_of_the_model(slower: float) -> None:
    design = compile(
        mobilenet_v2(96, 0.5, 4), board="zcu102", objective="min-resources", target_fps=250e6 / (96 * 96 * slower)
    )
    assert simulate_pipeline(design.units, frames=8).interval_cycles == design.frame_interval_cycles


@pytest.mark.parametrize("fps", [900_000, 100_000, 20_000])
def test_four_blocks_run_at_the_interval_of_the_model(fps: float) -> None:
    design = folded(four_block_network(), fps)
    assert steady_interval(design, PIPELINE_CYCLES) == design.frame_interval_cycles


@pytest.mark.parametrize("fps", [900_000, 20_000])
def test_latency_is_that_of_a_simulation_cycle_by_cycle(fps: float) -> None:
    design = folded(four_block_network(), fps)
    assert [design.latency_cycles] == frame_ends(stages(design), 1, pipeline=PIPELINE_CYCLES, behind=MANY)


def test_too_short_a_skip_deadlocks_and_the_computed_one_is_not_far_too_long() -> None:
    design = folded(four_block_network(), 100_000)
    skip = next(s for unit in design.units for s in unit.streams if s.name.endswith("skip"))

    def runs(depth: int) -> bool:
        try:
            frame_ends(stages(design), 2, pipeline=PIPELINE_CYCLES, behind=MANY, depths={skip.name: depth})
        except Deadlock:
            return False
        return True

    with pytest.raises(Deadlock, match=skip.name):
        frame_ends(stages(design), 2, pipeline=PIPELINE_CYCLES, behind=MANY, depths={skip.name: 2})
    least = next(depth for depth in range(2, skip.depth + 1) if runs(depth))
    assert least <= skip.depth <= 3 * least


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(net=separable_networks(), slower=st.sampled_from([1, 2, 5]), pipeline=st.sampled_from([1, 5, PIPELINE_CYCLES]))
def test_random_networks_neither_deadlock_nor_stall(net: QNet, slower: int, pipeline: int) -> None:
    pixels = net.input.shape[0] * net.input.shape[1]
    try:
        design = folded(net, 250e6 / (pixels * slower))
    except CheckFailed:
        assume(False)
    assume(design.frame_interval_cycles < 5000)
    assert steady_interval(design, pipeline) == design.frame_interval_cycles


# No shrinking: it simulates for minutes.
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(net=separable_networks(excited=True), slower=st.sampled_from([2, 5, 20]), pipeline=st.sampled_from([1, 5, 16]))
def test_random_squeeze_excite_neither_deadlocks_nor_stalls(net: QNet, slower: int, pipeline: int) -> None:
    pixels = net.input.shape[0] * net.input.shape[1]
    try:
        design = folded(net, 250e6 / (pixels * slower))
    except CheckFailed:
        assume(False)
    assume(design.frame_interval_cycles < 5000)
    assert steady_interval(design, pipeline) == design.frame_interval_cycles


def test_the_map_waits_a_frame_for_its_factors() -> None:
    plan = Separable(blocks=(Block(8, squeeze=2, tables=True),))
    design = folded(plan.build(3), 50_000)
    unit = next(unit for unit in design.units if unit.name == "body1")
    scale = next(stage for stage in unit.stages if isinstance(stage, ChannelScale))
    waiting = scale.input
    assert waiting.beats < waiting.depth < 2 * waiting.beats
    skip = next(stage for stage in unit.stages if isinstance(stage, ResidualAdd)).input_a
    assert skip.beats < skip.depth < 2.5 * skip.beats
    with pytest.raises(Deadlock, match=waiting.name):
        frame_ends(stages(design), 2, pipeline=PIPELINE_CYCLES, behind=MANY, depths={waiting.name: waiting.beats // 2})


@pytest.mark.parametrize("fps", [400_000, 50_000])
def test_pools_pad_and_flatten_keep_the_interval(fps: float) -> None:
    net, plain = NetworkBuilder(FeatureMap("image", (12, 10, 4)), 3), Numbers()
    x = net.conv("stem", net.source, 8, Window.same(3), plain)
    x = net.max_pool("largest", x, Window.same(3, 2))
    a = net.avg_pool("mean", x, Window.same(3), plain)
    x = net.add("add", net.conv("dense", x, 8, Window.same(3), plain), a, plain)
    framed = net.depthwise("framed", net.pad("frame", x, (2, 2, 2, 2)), Window((5, 5)), plain)
    x = net.add("again", x, framed, plain)
    net.linear("classes", net.flatten("vector", x), 6, plain)
    design = folded(net.build(), fps)
    assert steady_interval(design, PIPELINE_CYCLES) == design.frame_interval_cycles


def shortcut_network() -> QNet:
    """A block with stride 2 on both paths, and one whose paths both look ahead."""
    net, plain = NetworkBuilder(FeatureMap("image", (12, 10, 4)), 3), Numbers()
    x = net.conv("stem", net.source, 8, Window.same(3), plain)
    a = net.conv("a1", x, 8, Window.same(3, 2), plain)
    a = net.conv("a2", a, 16, Window.same(3), plain)
    b = net.conv("b", x, 16, Window((1, 1), (2, 2)), plain)
    x = net.add("first", a, b, plain)
    c = net.depthwise("c", x, Window.same(5), plain)
    d = net.depthwise("d", x, Window.same(3), plain)
    x = net.add("second", d, c, plain)
    net.global_avg_pool("pool", x, plain)
    return net.build()


@pytest.mark.parametrize("fps", [1_000_000, 200_000, 30_000])
def test_two_working_paths(fps: float) -> None:
    design = folded(shortcut_network(), fps)
    assert steady_interval(design, PIPELINE_CYCLES) == design.frame_interval_cycles
