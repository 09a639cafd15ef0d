"""Which blocks share a compute unit: cycles of many foldings at once, whole designs, what is said and refused."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from pydantic import ValidationError

from deepdive.compiler.budget import KINDS, Budget, excess, usage
from deepdive.compiler.compile import compile, make_site
from deepdive.compiler.design import Design
from deepdive.compiler.explain import explain
from deepdive.compiler.folding import fastest_interval
from deepdive.compiler.partition import partition
from deepdive.compiler.pieces import pieces, streamed
from deepdive.compiler.pipeline import simulate_pipeline
from deepdive.compiler.plan import UnitPlan
from deepdive.compiler.segments import Segments
from deepdive.compiler.shared import blocks_of
from deepdive.compiler.shared_cycles import Foldings, chain
from deepdive.errors import CheckFailed, DeepDiveError
from deepdive.hardware.boards import Board, load_board
from deepdive.hardware.stages import SharedBody
from deepdive.hardware.stages.shared_chain import Common, block_chain, chain_cycles
from deepdive.qnet import FeatureMap, QNet
from networks import Block, NetworkBuilder, Numbers, Separable
from zoo_networks import LITE0, inverted_residuals, mobilenet_v2


def board_with(**resources: float) -> Board:
    """A small board."""
    board = load_board("pynq-z2")
    return board.model_copy(update={"name": "small", "resources": board.resources.model_copy(update=resources)})


def residual_network(*blocks: Block) -> QNet:
    return Separable(height=32, width=32, stem=(8, 8), blocks=blocks).build(0)


def bodies(net: QNet) -> list[UnitPlan]:
    return [plan for plan in partition(net) if plan.kind == "body"]


def drawn_foldings(count: int) -> Foldings:
    rng = np.random.default_rng(0)
    rows: list[tuple[int, ...]] = []
    lanes = (1, 2, 4, 8, 16), (2, 4, 6, 12, 16, 18), (1, 2, 4, 6, 9), (1, 2, 3, 4, 6, 9), (3, 5, 9, 25)
    last = (2, 4, 6, 12, 18)
    while len(rows) < count:
        row = tuple(int(rng.choice(values)) for values in (*lanes, last, (1, 2, 4, 8), (1, 2, 4), (2, 4, 8)))
        try:
            Foldings.of(np.array([row]).T).at(0, fabric=False, dsp_bits=27)
        except ValidationError:
            continue
        if row[1] % row[2] == 0 and row[6] % row[7] == 0:
            rows.append(row)
    return Foldings.of(np.array(rows).T)


@pytest.mark.parametrize("frames", [1, 3])
def test_cycles_of_many_foldings_are_those_of_each(frames: int) -> None:
    """Strides, residual adds, filters of both sizes in a 5 x 5 window, lone pointwise layers, squeeze-excite."""
    plans = partition(inverted_residuals(LITE0, resolution=64, weight_bits=4))
    parts = [piece.plan for piece in pieces(plans) if piece.shareable]
    parts += bodies(residual_network(Block(8, squeeze=24), Block(24, kernel=5, stride=2, squeeze=24)))
    blocks = [block for plan in parts for block in blocks_of(plan.operations)]
    foldings, shared = drawn_foldings(24), Common((5, 5), ((3, 3), (5, 5)), 4, 4, 4, 27)
    finite = 0
    for block in blocks:
        found = chain(block, foldings, shared, frames)
        for row in range(len(foldings)):
            try:
                stages = block_chain(block, foldings.at(row, fabric=False, dsp_bits=27), shared)
            except ValidationError:
                assert found[row] == np.inf
                continue
            finite += 1
            assert found[row] == chain_cycles(stages, frames)
    assert finite > 100


def test_the_path_is_the_cheapest_of_all_segmentations() -> None:
    net = residual_network(Block(8), Block(12, stride=2, tables=True), Block(12))
    site = make_site(board_with(dsp=60), None, Budget())
    plans = partition(net)
    low = fastest_interval([operation for plan in plans for operation in plan.operations], site)
    segments = Segments(plans, site, low)
    rng = np.random.default_rng(0)
    several = 0
    for at in (10, 20, 30):
        ways, usable = segments.streamed_costs(at), segments.bodies.intervals <= segments.grid[at]
        for _ in range(10):
            prices = rng.exponential(size=len(KINDS)) / segments.limit(segments.grid[at])
            shared, costs = segments.path(prices, usable, ways)
            assert costs is not None
            truth = min(price_of(segments, choice, prices, usable, ways) for choice in segmentations(segments))
            assert costs @ prices == pytest.approx(truth)
            several += len(shared) > 0
    assert several


def segmentations(segments: Segments, start: int = 0) -> Iterator[tuple[tuple[int, int], ...]]:
    """All ways to share or stream the pieces from `start` on."""
    if start == len(segments.pieces):
        yield ()
        return
    for rest in segmentations(segments, start + 1):
        yield rest
    for segment in segments.bodies.segments:
        if segment[0] == start:
            for rest in segmentations(segments, segment[1]):
                yield (segment, *rest)


def price_of(
    segments: Segments,
    shared: tuple[tuple[int, int], ...],
    prices: np.ndarray,
    usable: np.ndarray,
    ways: list[np.ndarray],
) -> float:
    """Price of a segmentation, added up by itself."""
    inside = {piece for first, last in shared for piece in range(first, last)}
    price = 0.0
    for segment in shared:
        rows = segments.bodies.of_segment(segments.bodies.segments.index(segment))
        costs = segments.bodies.costs[rows][usable[rows]]
        price += (costs @ prices).min() if len(costs) else np.inf
    for piece, found in enumerate(ways):
        if piece not in inside:
            price += (found @ prices).min() if len(found) else np.inf
    return float(price)


def test_pieces_put_together_are_the_plans() -> None:
    plans = partition(mobilenet_v2(96, 0.5, 4))
    parts = pieces(plans)
    assert len(parts) == len(plans) + 2  # the head's and the tail's pointwise and depthwise layers
    assert tuple(streamed(parts)) == plans
    assert [part.shareable for part in parts[:3]] == [False, True, True]
    assert [part.shareable for part in parts[-3:]] == [True, False, False]


def check(net: QNet, design: Design) -> None:
    """Every node once and in order, within the budget, the same after JSON."""
    assert [block for unit in design.units for block in unit.blocks] == [node.name for node in net.nodes]
    assert design.macs == net.macs()
    limits = Budget().limits(design.board, design.clock_mhz, design.frame_interval_cycles)
    assert excess(usage(design.units), limits) == {}
    assert Design.model_validate_json(design.model_dump_json()) == design


def shared_blocks_of(design: Design) -> list[str]:
    return [
        block
        for unit in design.units
        if any(isinstance(stage, SharedBody) for stage in unit.stages)
        for block in unit.blocks
    ]


@pytest.mark.parametrize("sharing", ["always", "auto"])
def test_a_design_is_as_fast_as_its_simulation(sharing: str) -> None:
    net = residual_network(
        Block(8), Block(12, stride=2), Block(12), Block(16, 4, 5, 2, squeeze=8), Block(16, expand=1, tables=True)
    )
    for board in (board_with(dsp=40, lut=20_000), board_with(dsp=50, lut=30_000)):
        design = compile(net, board=board, sharing=sharing)  # type: ignore[arg-type]
        check(net, design)
        assert shared_blocks_of(design)
        run = simulate_pipeline(design.units)
        assert run.interval_cycles == design.frame_interval_cycles
        # The first frame waits for its batch and for one phase; at an even pace it would wait for two.
        assert design.frame_interval_cycles < design.latency_cycles < run.frame_ends[0]


def test_memories_of_shared_units_take_up_what_comes_sooner() -> None:
    """A frame at either end: the even pace of one shared unit does not hold up that of the next one."""
    net = residual_network(
        Block(8), Block(12, stride=2), Block(12), Block(16, 4, 5, 2, squeeze=8), Block(16, expand=1, tables=True)
    )
    design = compile(net, board=board_with(dsp=60, lut=20_000), sharing="always")
    shared = [stage.name for unit in design.units for stage in unit.stages if isinstance(stage, SharedBody)]
    assert len(shared) == 2
    run = simulate_pipeline(design.units)
    assert {stage.name: stage.blocked for stage in run.stages if stage.name in shared} == dict.fromkeys(shared, 0)
    depths = {stream.name: stream.depth for unit in design.units for stream in unit.streams}
    assert all(most <= depths[name] for name, most in run.peak.items())


def test_the_parts_of_squeeze_excite_are_looked_at_together() -> None:
    """The search looks at halves of the blocks, too; here the middle one is one that scales."""
    net = residual_network(Block(8, squeeze=8), Block(12, 4, squeeze=8), Block(12), Block(12, stride=2), Block(16))
    design = compile(net, board=board_with(dsp=80, lut=40_000), sharing="always")
    check(net, design)
    assert shared_blocks_of(design)


def test_always_shares_all_that_can_be_shared() -> None:
    net = residual_network(Block(8), Block(12, stride=2), Block(12))
    design = compile(net, board="zcu102", sharing="always")
    check(net, design)
    assert {block for plan in bodies(net) for block in plan.blocks} <= set(shared_blocks_of(design))
    assert not shared_blocks_of(compile(net, board="zcu102"))


def test_a_shared_unit_is_explained() -> None:
    net = residual_network(Block(8), Block(12, stride=2), Block(12))
    design = compile(net, board=board_with(dsp=40), sharing="always")
    found = explain(net, design, Budget())
    assert found.interval_cycles == design.frame_interval_cycles
    text = "\n".join(found.lines)
    assert "of the time of 'shared1_shared' goes to filling" in text
    assert "its longest block is '" in text


def test_what_cannot_be_shared_is_refused() -> None:
    net = residual_network(Block(8))
    with pytest.raises(DeepDiveError, match=r"^Unknown sharing 'alway'.*'always'"):
        compile(net, board="zcu102", sharing="alway")  # type: ignore[arg-type]
    with pytest.raises(CheckFailed, match="does not fit board 'small'"):
        compile(net, board=board_with(lut=4000))
    builder = NetworkBuilder(FeatureMap("image", (8, 8, 3), 8, False, 1 / 127.5, 128))
    x = builder.global_avg_pool("pool", builder.source, Numbers())
    builder.linear("classifier", x, 4, Numbers(8, True, 0))
    with pytest.raises(CheckFailed, match="has no blocks that a shared unit computes"):
        compile(builder.build("plain"), board="zcu102", sharing="always")
