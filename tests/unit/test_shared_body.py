"""Shared bodies: cycles, cost and blocks of a stage that computes several blocks in turn."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from pydantic import ValidationError

from deepdive.compiler.loops import loop
from deepdive.compiler.partition import partition
from deepdive.compiler.pipeline import scheduled
from deepdive.compiler.plan import UnitPlan
from deepdive.compiler.shared import Sharing, shareable, shared_blocks, shared_unit
from deepdive.errors import UnsupportedLayer
from deepdive.hardware.stages import PIPELINE_CYCLES, PointwiseFolding, SharedBlock, SharedBody, SharedFolding
from deepdive.hardware.stages import Window as HardwareWindow
from deepdive.hardware.stages.shared_body import MEMORY_CYCLES, START_CYCLES
from deepdive.hardware.stages.shared_chain import chain_cycles
from deepdive.hardware.stream import Stream
from deepdive.hardware.units import Unit
from deepdive.qnet import FeatureMap
from networks import Block, NetworkBuilder, Numbers, Separable, Window
from zoo_networks import LITE0, MOBILENET_V2, inverted_residuals

FOLDING = SharedFolding(
    expand=PointwiseFolding(in_lanes=8, out_parallel=16, lanes=8),
    middle_lanes=8,
    project=PointwiseFolding(in_lanes=16, out_parallel=8, lanes=4),
    memory_lanes=8,
)
SMALL = SharedFolding(
    expand=PointwiseFolding(in_lanes=4, out_parallel=8, lanes=4),
    middle_lanes=4,
    project=PointwiseFolding(in_lanes=4, out_parallel=4, lanes=4),
    memory_lanes=4,
)


def bodies(plans: tuple[UnitPlan, ...]) -> list[UnitPlan]:
    return [plan for plan in plans if plan.kind == "body"]


def body(unit: Unit) -> SharedBody:
    (stage,) = unit.stages
    assert isinstance(stage, SharedBody)
    return stage


@pytest.fixture(scope="module")
def mobilenet() -> tuple[UnitPlan, ...]:
    return partition(inverted_residuals(MOBILENET_V2, resolution=224, weight_bits=4))


def test_all_blocks_of_mobilenet_v2_run_on_one_body(mobilenet: tuple[UnitPlan, ...]) -> None:
    unit = shared_unit("body", bodies(mobilenet), Sharing(FOLDING, batch=2))
    stage = body(unit)
    # 17 inverted residuals, less the first, which is in the head; ten of them with an add.
    assert len(stage.blocks) == 16
    assert sum(block.add is not None for block in stage.blocks) == 10
    assert unit.multipliers == 8 * 16 + 9 * 8 + 16 * 8
    # By hand: pointwise and depthwise layers of the second block.
    assert stage.blocks[0].macs == 112 * 112 * 16 * 96 + 56 * 56 * 96 * (9 + 24)
    assert 0.68 < unit.macs / (unit.interval_cycles * unit.multipliers) < 0.75
    # Two multiplications of 4-bit weights share a DSP.
    assert 64 + 72 + 64 < unit.resources.dsp < 240


def test_what_no_body_computes_is_refused(mobilenet: tuple[UnitPlan, ...]) -> None:
    assert [shareable(plan) for plan in mobilenet] == [False, *[True] * 16, False, False]
    with pytest.raises(UnsupportedLayer, match=r"^Stage 'tail_pool.*' \(global_avg_pool\) cannot be part of a shared"):
        shared_unit("body", mobilenet[-2:], Sharing(FOLDING))


def test_squeeze_excite_stays_streamed_where_no_depthwise_layer_stands_before_it() -> None:
    relu = Numbers()
    middle = replace(relu, zero_point=128)
    builder = NetworkBuilder(FeatureMap("image", (16, 16, 3), 8, False, 1 / 64, (124, 116, 104)), 0)
    skip = x = builder.conv("stem", builder.source, 8, Window.same(3, 2), middle)
    factors = builder.conv("squeeze", builder.global_avg_pool("pool", x, relu), 4, Window(), middle)
    factors = builder.conv("excite", factors, 8, Window(), middle)
    x = builder.conv("project", builder.channel_scale("scale", x, factors, relu), 8, Window(), middle)
    builder.linear("classifier", builder.global_avg_pool("mean", builder.add("add", skip, x, middle), relu), 4, middle)
    plans = partition(builder.build())
    assert any("channel_scale" in [operation.kind for operation in plan.operations] for plan in plans)
    assert not any(shareable(plan) for plan in plans)


def test_a_lone_pointwise_layer_runs_on_either_multipliers(mobilenet: tuple[UnitPlan, ...]) -> None:
    tail = mobilenet[-2].operations[:1]
    (block,) = shared_blocks(tail)
    assert (block.expand is None, block.project, block.output) == (False, None, (7, 7, 1280))
    (block,) = shared_blocks(tail, "project")
    assert (block.expand, block.project is None, block.output) == (None, False, (7, 7, 1280))


def last_cycle(stage: SharedBody, block: SharedBlock, frames: int) -> int:
    """When the last beat of some frames leaves a block, simulated; raises when its FIFOs let it stand still."""
    parts = {"name": "u", "kind": "body", "input_map": "x", "blocks": block.nodes, "stages": stage.chain(block)}
    _, times = scheduled([Unit.model_validate(parts)], frames, PIPELINE_CYCLES)
    return int(times.written[stage.chain(block)[-1].outputs[0].name][-1])


@pytest.mark.parametrize(("frames", "within"), [(1, 0.12), (4, 0.04)])
@pytest.mark.parametrize("rows", [MOBILENET_V2, LITE0], ids=["mobilenet", "lite"])
def test_a_block_takes_the_cycles_that_the_simulation_finds(
    rows: tuple[tuple[int, int, int, int, int], ...], frames: int, within: float
) -> None:
    """The formula against the discrete-event simulation, residual adds and strides included, down to maps of 3x3."""
    plans = bodies(partition(inverted_residuals(rows, resolution=96, weight_bits=4)))
    stage = body(shared_unit("body", plans, Sharing(FOLDING)))
    for block in stage.blocks:
        chain = stage.chain(block)
        simulated = last_cycle(stage, block, frames)
        assert simulated >= frames * max(one.interval_cycles for one in chain)
        assert chain_cycles(chain, frames) == pytest.approx(simulated, rel=within)


def test_nothing_makes_up_for_turns_between_strided_windows() -> None:
    """A window of 25 taps, nine at once, takes three turns; the pixel behind it none, but as long as its expansion."""
    folding = FOLDING.model_copy(update={"taps": 9})
    blocks = Block(40, 6, 5, 2), Block(40, 6, 5)
    plans = bodies(partition(Separable(height=24, width=24, stem=(8, 24), blocks=blocks).build(0)))
    stage = body(shared_unit("body", plans, Sharing(folding)))
    for block, strided in zip(stage.blocks, (True, False), strict=True):
        chain = stage.chain(block)
        simulated = last_cycle(stage, block, 4)
        assert chain_cycles(chain, 4) == pytest.approx(simulated, rel=0.04)
        slowest = 4 * max(one.interval_cycles for one in chain)
        assert simulated > (1.15 if strided else 1) * slowest


def test_all_blocks_together_take_the_cycles_that_the_simulation_finds() -> None:
    plans = bodies(partition(inverted_residuals(MOBILENET_V2, resolution=160, width=0.75, weight_bits=4)))
    stage = body(shared_unit("body", plans, Sharing(FOLDING, maps="on_chip", weights="on_chip", batch=2)))
    simulated = sum(last_cycle(stage, block, stage.batch) + START_CYCLES for block in stage.blocks)
    assert sum(stage.schedule) == pytest.approx(simulated, rel=0.01)


def plan_of(*blocks: Block) -> list[UnitPlan]:
    return bodies(partition(Separable(height=24, width=20, stem=(8, 6), blocks=blocks).build(0)))


def test_cycles_of_one_small_block() -> None:
    """Map 12x10x6, padded to 8 channels; 24 inside; the pointwise stages take 2 x 3 and 6 x 2 steps a pixel."""
    unit = shared_unit("body", plan_of(Block(6)), Sharing(SMALL, maps="on_chip", weights="on_chip"))
    stage = body(unit)
    (block,) = stage.blocks
    cycles = {one.name: one.interval_cycles for one in stage.chain(block)}
    assert cycles["expand"] == 120 * 2 * 3
    assert cycles["project"] == 120 * 6 * 2
    assert cycles["window"] == cycles["depthwise"] == 120 * 6
    assert stage.schedule == (chain_cycles(stage.chain(block), 1) + START_CYCLES,)
    assert 120 * 12 < stage.interval_cycles < 120 * 12 + 600
    assert unit.macs == 120 * (6 * 24 + 24 * 9 + 24 * 6)


def test_a_batch_fills_the_pipeline_once() -> None:
    plans = plan_of(Block(6), Block(6))
    one, four = (body(shared_unit("body", plans, Sharing(SMALL, batch=batch))) for batch in (1, 4))
    floor = sum(max(stage.interval_cycles for stage in one.chain(block)) for block in one.blocks)
    assert one.interval_cycles > four.interval_cycles > floor
    spare = one.phase_cycles - floor
    assert four.phase_cycles == 4 * floor + spare


def test_memory_traffic() -> None:
    """Every map is written once and read once, and so are those at the ends; weights come once a batch."""
    plans = plan_of(Block(6), Block(10, stride=2))
    stage = body(shared_unit("body", plans, Sharing(SMALL, batch=4)))
    words = [120 * 2, 120 * 2, 30 * 3]  # of four codes; 6 channels are padded to 8, 10 to 12
    assert [stage.words(shape) for shape in ((12, 10, 6), (12, 10, 6), (6, 5, 10))] == words
    weights = 16 * sum(stage.weight_words(block) for block in stage.blocks)
    assert stage.external_bytes == 4 * 2 * sum(words) + weights // 4
    assert stage.memory_ports == 3
    inside = body(shared_unit("body", plans, Sharing(SMALL, maps="on_chip", weights="on_chip")))
    assert (inside.external_bytes, inside.memory_ports) == (0, 0)


def test_weight_memories() -> None:
    """Twice the largest block, or all of them; each word starts on a memory word of 16 bytes."""
    plans = plan_of(Block(6), Block(10, stride=2))
    streamed = body(shared_unit("body", plans, Sharing(SMALL)))
    depths = {memory.name: (memory.depth, memory.banks) for memory in streamed.memories}
    assert depths["expand_weights"] == (2 * 3, 2)
    assert depths["project_weights"] == (6 * 3, 2)
    kept = body(shared_unit("body", plans, Sharing(SMALL, weights="on_chip")))
    depths = {memory.name: (memory.depth, memory.banks) for memory in kept.memories}
    assert depths["project_weights"] == (6 * 2 + 6 * 3, 1)
    # Expand 6 words of 32 bytes, depthwise 6 of 36, project 12 of 16; scales 6, 6 and 2 words of 32 bytes.
    assert streamed.weight_words(streamed.blocks[0]) == 6 * 2 + 6 * 3 + 12 + (6 + 6 + 2) * 2


def test_a_block_waits_for_the_weights_of_the_next() -> None:
    """A 1x1 map is computed faster than its weights are read."""
    plans = plan_of(*[Block(8, stride=2)] * 3, Block(8), Block(128))
    stage = body(shared_unit("body", plans, Sharing(SMALL)))
    assert (
        stage.schedule[3] == stage.weight_words(stage.blocks[4]) + MEMORY_CYCLES > stage.block_cycles(stage.blocks[3])
    )
    assert stage.schedule[4] == stage.block_cycles(stage.blocks[4])


def test_one_weight_buffer_is_half_the_memory_and_waits_for_each_load() -> None:
    plans = plan_of(Block(6), Block(10, stride=2))
    two = body(shared_unit("body", plans, Sharing(SMALL, batch=2)))
    one = body(shared_unit("body", plans, Sharing(SMALL, batch=2, weight_buffers=1, port_cycles=2)))
    assert one.schedule == tuple(
        2 * one.weight_words(block) + MEMORY_CYCLES + one.block_cycles(block) for block in one.blocks
    )
    for single, double in zip(one.memories, two.memories, strict=True):
        assert single.depth == double.depth
        assert double.banks == (2 if single.name.endswith(("_weights", "_scales")) else single.banks)
    assert one.external_bytes == two.external_bytes


def test_a_small_filter_runs_in_a_large_window() -> None:
    plans = plan_of(Block(6, kernel=5, stride=2), Block(6, kernel=3))
    stage = body(shared_unit("body", plans, Sharing(SMALL)))
    assert stage.shared.kernel == (5, 5)
    assert stage.blocks[1].depthwise is not None
    assert stage.blocks[1].depthwise.within((5, 5)) == (2, 2, 2, 2)
    assert [block.output for block in stage.blocks] == [(6, 5, 6), (6, 5, 6)]


def test_resources_are_those_of_the_largest_block_not_the_sum() -> None:
    one = shared_unit("body", plan_of(Block(6)), Sharing(SMALL)).resources
    three = shared_unit("body", plan_of(Block(6), Block(6), Block(6)), Sharing(SMALL)).resources
    assert one == three
    assert one.dsp >= SMALL.middle_lanes * 9 + (4 * 8 + 4 * 4) // 2


def test_it_survives_json() -> None:
    unit = shared_unit("body", plan_of(Block(6), Block(8, stride=2)), Sharing(SMALL, batch=3))
    assert Unit.model_validate_json(unit.model_dump_json()) == unit


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"blocks": ()}, "at least 1 item"),
        ({"batch": 0}, "greater than or equal to 1"),
        ({"folding": SMALL.model_copy(update={"expand": None})}, "has no expand, and 'body1.expand' needs one"),
        ({"folding": SMALL.model_copy(update={"memory_lanes": 12})}, "no words of 12 bytes; take a power of two"),
    ],
)
def test_what_cannot_be_is_refused(update: dict[str, object], message: str) -> None:
    stage = body(shared_unit("body", plan_of(Block(6), Block(8)), Sharing(SMALL)))
    with pytest.raises(ValidationError, match=message):
        SharedBody.model_validate({**dict(stage), **update})


def test_blocks_that_do_not_follow_each_other_are_refused() -> None:
    stage = body(shared_unit("body", plan_of(Block(6), Block(8)), Sharing(SMALL)))
    assert all(before.output == after.shape for before, after in pairwise(stage.blocks))
    with pytest.raises(ValidationError, match=r"'body1\.expand' reads a map .* before it writes"):
        SharedBody.model_validate({**dict(stage), "blocks": stage.blocks[::-1]})


def test_lanes_that_do_not_divide_each_other_are_refused() -> None:
    with pytest.raises(ValidationError, match="neither of 4 and 6 lanes of a shared body divides the other"):
        SharedFolding(**{**dict(SMALL), "middle_lanes": 6})


def test_drawn_chains_never_stand_still() -> None:
    """Residual blocks of many shapes and foldings, simulated with the depths that the chain computes."""
    rng = np.random.default_rng(0)
    for _ in range(30):
        lanes, parallel = (int(rng.choice([1, 2, 4])) for _ in range(2))
        folding = SharedFolding(
            expand=PointwiseFolding(in_lanes=1, out_parallel=lanes * 2, lanes=lanes),
            middle_lanes=lanes,
            project=PointwiseFolding(in_lanes=lanes, out_parallel=parallel, lanes=parallel),
            memory_lanes=int(rng.choice([1, 4])),
        )
        plans = plan_of(Block(6, expand=int(rng.integers(1, 4)), kernel=int(rng.choice([3, 5]))))
        stage = body(shared_unit("body", plans, Sharing(folding)))
        assert last_cycle(stage, stage.blocks[0], 2) > 2 * max(s.interval_cycles for s in stage.chain(stage.blocks[0]))


def test_windows_behind_the_last_pixel_are_those_of_the_loop() -> None:
    """All windows that frames still owe when their last pixel has been read; of small maps several frames."""
    frames = 12
    for height, width, kernel, stride in product(range(1, 7), range(1, 6), (1, 3, 5), ((1, 1), (2, 2), (2, 1))):
        shape = -(-height // stride[0]), -(-width // stride[1])
        source, target = (
            Stream(name="x", height=h, width=w, channels=1, lanes=1, bits=8, taps=taps)
            for h, w, taps in ((height, width, 1), (*shape, kernel**2))
        )
        window = HardwareWindow(
            name="window",
            input=source,
            output=target,
            kernel=(kernel, kernel),
            stride=stride,
            padding=(kernel // 2,) * 4,
            zero_point=(0,),
        )
        one = loop(window)
        given = np.concatenate([one.writes + frame * one.steps for frame in range(frames)])
        assert window.tail_windows == (given > one.reads[0][-1] + (frames - 1) * one.steps).sum()
