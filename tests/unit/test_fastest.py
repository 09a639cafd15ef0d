"""The frame interval that the search finds, against every combination of every folding of small networks."""

from __future__ import annotations

import numpy as np
import pytest

from deepdive.compiler.budget import KINDS, Budget
from deepdive.compiler.compile import SLOWEST, Compiler, make_site
from deepdive.compiler.folding import Folder
from deepdive.compiler.options import Options
from deepdive.compiler.plan import Way
from deepdive.errors import CheckFailed
from deepdive.hardware.boards import Board, load_board
from deepdive.qnet import FeatureMap, QNet
from networks import NetworkBuilder, Numbers, Window


def small_network(weight_bits: int) -> QNet:
    """Pointwise, depthwise, pointwise on 4x4 pixels."""
    net, numbers = NetworkBuilder(FeatureMap("image", (4, 4, 2)), 1), Numbers(weight_bits=weight_bits)
    x = net.conv("expand", net.source, 8, Window(), numbers)
    x = net.depthwise("depthwise", x, Window.same(3), numbers)
    net.conv("project", x, 4, Window(), numbers)
    return net.build()


def board(dsp: int, lut: int) -> Board:
    big = load_board("zcu102")
    return big.model_copy(update={"resources": big.resources.model_copy(update={"dsp": dsp, "lut": lut})})


def undominated(costs: np.ndarray) -> np.ndarray:
    """Rows of DSP, LUT, FF and block RAM that no other row beats in all of them."""
    costs = np.unique(costs, axis=0)
    kept: list[np.ndarray] = []
    for row in costs:  # in lexical order: an earlier row is never beaten by a later one
        if not any((other <= row).all() for other in kept):
            kept.append(row)
    return np.array(kept)


def all_costs(folder: Folder, interval: int) -> np.ndarray:
    """What every folding of a chain that keeps the interval costs, but for those that another beats in everything."""
    search = folder.search
    alive = {way: np.zeros((1, len(KINDS))) for way in search.operations[0].inputs[0].ways}
    for operation, found in zip(search.operations, search.stages, strict=True):
        (source,), (target,) = operation.inputs, operation.outputs
        arrived = alive
        if source.taps == 1:
            arrived = joined(alive, moves(search.repacks[source.name], source.ways, source.ways, interval))
            for way, costs in alive.items():
                arrived[way] = np.concatenate([arrived[way], costs]) if way in arrived else costs
        alive = joined(arrived, moves(found, source.ways, target.ways, interval))
    return np.concatenate(list(alive.values())) if alive else np.empty((0, len(KINDS)))


def moves(
    found: Options, ways_in: tuple[Way, ...], ways_out: tuple[Way, ...], interval: int
) -> list[tuple[Way, Way, np.ndarray]]:
    """(way in, way out, cost) of every option that keeps the interval."""
    rows = np.flatnonzero(found.intervals <= interval)
    return [(ways_in[found.ways_in[r]], ways_out[found.ways_out[r]], found.costs[r]) for r in rows]


def joined(alive: dict[Way, np.ndarray], steps: list[tuple[Way, Way, np.ndarray]]) -> dict[Way, np.ndarray]:
    """Costs by way after one more operation."""
    after: dict[Way, list[np.ndarray]] = {}
    for way_in, way_out, cost in steps:
        if way_in in alive:
            after.setdefault(way_out, []).append(alive[way_in] + cost)
    return {way: undominated(np.concatenate(costs)) for way, costs in after.items()}


@pytest.mark.parametrize("weight_bits", [4, 8])
def test_the_interval_found_is_that_of_brute_force(weight_bits: int) -> None:
    """On 30 boards each, many short of DSPs and LUTs at once, where prices alone miss a folding now and then."""
    net = small_network(weight_bits)
    rng = np.random.default_rng(weight_bits)
    missed = fits = 0
    for _ in range(30):
        site = make_site(board(int(rng.integers(6, 60)), int(rng.integers(1500, 9000))), None, Budget())
        compiler = Compiler(net, site)
        folder = Folder(compiler.narrow, site, compiler.low, SLOWEST)
        limits = site.limits(SLOWEST)
        limit = np.array([limits[kind] for kind in KINDS])
        wanted = next(
            (int(i) for i in folder.search.intervals() if (all_costs(folder, int(i)) <= limit).all(axis=1).any()), None
        )
        try:
            found = compiler.fastest().frame_interval_cycles
        except CheckFailed:
            found = None
        assert found is None or (wanted is not None and found >= wanted)
        fits += found is not None
        missed += found != wanted
    assert missed == 0
    assert fits >= 15
