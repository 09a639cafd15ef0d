"""Which consecutive blocks share a compute unit: dynamic programming over the places where a unit may end.

At one frame interval and given prices every piece of the network has its cheapest streamed folding, and every segment
of consecutive shareable pieces its cheapest shared body. The cheapest way from the image to the result is a shortest
path over the pieces. As for the foldings alone, the price of what is short rises until the board holds all of it
(Lagrangian relaxation); the smallest interval for which that is reached is found by bisection. What is short by little
is kept, too: the foldings of a segmentation are searched again, exactly, by `folding`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from deepdive.compiler.budget import KINDS
from deepdive.compiler.fifos import Room, early_pixels, likely_rooms
from deepdive.compiler.folding import SPAN, START, STEEP, Site
from deepdive.compiler.options import Catalogue, Limits
from deepdive.compiler.pieces import Piece, pieces, streamed
from deepdive.compiler.plan import DENSE, Operation, UnitPlan
from deepdive.compiler.search import Question, Search
from deepdive.compiler.shared import shared_unit
from deepdive.compiler.sharing import BATCHES, Candidates, Shareable, cheapest
from deepdive.errors import CheckFailed

ROUNDS = 14
INTERVALS = 40
"""Frame intervals, a constant factor from each other, at which segmentations are compared."""
NEARLY = 1.04
"""The board holds a segmentation if no load is more than this: the foldings are looked for again."""
NEAR = (0.8, 1.5)
"""The fastest design of a segmentation has a frame interval between these, of that at which it was found."""
FINE = np.concatenate([np.geomspace(*NEAR, 32), np.geomspace(1.7, SPAN, 12)])
"""Frame intervals, of that at which a segmentation was found, for which its shared bodies are made."""
EMPHASIS = (("dsp", 6), ("lut", 6), ("bram36", 6), ("bram36", 1000))
"""Prices at which shared bodies are kept: what is often short a few times as dear, and the least block RAM of all."""


@dataclass(frozen=True)
class Segmentation:
    """Segments of pieces that are shared, in order: the first of each, and the one behind its last."""

    shared: tuple[tuple[int, int], ...]
    interval: int
    load: float


@dataclass(frozen=True)
class Bodies:
    """Shared bodies of many segments.

    Parameters
    ----------
    segments
        Their first pieces, and those behind their last ones.
    starts
        Where the bodies of each segment begin in the arrays, and the end of the last.
    intervals, costs
        Clock cycles a frame float64 (n,), costs float64 (n, len(KINDS)).
    """

    segments: tuple[tuple[int, int], ...]
    starts: np.ndarray
    intervals: np.ndarray
    costs: np.ndarray

    @classmethod
    def of(cls, found: Mapping[tuple[int, int], Candidates]) -> Bodies:
        """Those of each segment, one after the other."""
        starts = np.cumsum([0, *(len(one.intervals) for one in found.values())])
        intervals = np.concatenate([np.zeros(0), *(one.intervals for one in found.values())])
        costs = np.concatenate([np.zeros((0, len(KINDS))), *(one.costs for one in found.values())])
        return cls(tuple(found), starts, intervals, costs)

    def of_segment(self, index: int) -> slice:
        """The rows of one segment."""
        return slice(int(self.starts[index]), int(self.starts[index + 1]))


class Segments:
    """All segmentations of a network on a site."""

    def __init__(self, plans: Sequence[UnitPlan], site: Site, low: int, *, always: bool = False) -> None:
        self.pieces, self.site, self.low, self.always = pieces(plans), site, low, always
        self.grid = np.geomspace(low, SPAN * low, INTERVALS)
        self.runs = list(runs(self.pieces))
        self.shareables = {
            start: Shareable(
                [piece.plan for piece in self.pieces[start:end]],
                site.board,
                self.limit(),
                self.prices(low),
                cascade=site.dsp_instances,
            )
            for start, end in self.runs
        }
        self.known: dict[int, list[np.ndarray]] = {}

    @cached_property
    def bodies(self) -> Bodies:
        """The shared bodies of all segments that may be cheapest."""
        return Bodies.of(dict(self.listed()))

    @cached_property
    def searches(self) -> list[Search]:
        """For the streamed foldings of each piece."""
        limits = Limits(self.low, int(SPAN * self.low), self.site.board.memory.port_bits, self.site.board.dsp_bits)
        return [search(piece.plan.operations, limits, self.site.catalogue) for piece in self.pieces]

    def limit(self, interval: float = 1 << 40) -> np.ndarray:
        """The most of each of KINDS, without a frame interval that of any: float64 (len(KINDS),)."""
        return self.site.limit(int(interval))

    def prices(self, interval: float) -> np.ndarray:
        """Different prices, each with emphasis on something else: float64 (rows, len(KINDS))."""
        base = np.tile(START / START.sum(), (len(EMPHASIS) + 1, 1))
        for row, (kind, factor) in enumerate(EMPHASIS, start=1):
            base[row, KINDS.index(kind)] *= factor
        return base / self.limit(interval)

    def listed(self) -> Iterator[tuple[tuple[int, int], Candidates]]:
        """What may be cheapest, of every segment."""
        for offset, _ in self.runs:
            shareable = self.shareables[offset]
            for start, end in shareable.segments():
                every = shareable.candidates(start, end, self.limit(), BATCHES[-1:])
                few = cheapest(every, self.prices(self.grid[0]), self.grid)
                if len(few.intervals):
                    yield (offset + start, offset + end), few

    def streamed_costs(self, at: int) -> list[np.ndarray]:
        """Costs (ways, len(KINDS)) of each piece, streamed, at an interval of the grid."""
        if at not in self.known:
            self.known[at] = [
                np.zeros((0, len(KINDS)))
                if self.always and piece.shareable and piece.whole
                else self.streamed_ways(one, self.grid[at])
                for piece, one in zip(self.pieces, self.searches, strict=True)
            ]
        return self.known[at]

    def streamed_ways(self, one: Search, interval: float) -> np.ndarray:
        """Costs of a streamed piece's foldings, each the cheapest at other prices, weights on chip or not."""
        outside = frozenset(
            position
            for position, operation in enumerate(one.operations)
            if operation.kind in DENSE and operation.outputs[0].height * operation.outputs[0].width == 1
        )
        skips = likely_rooms(one.operations, int(interval))
        found = [
            one.cheapest(Question(int(interval), row, skips, external))
            for row in self.prices(interval)[[0, 1, 3]]
            for external in dict.fromkeys([frozenset[int](), outside])
        ]
        return np.array([folding.costs for folding in found if folding is not None]).reshape(-1, len(KINDS))

    def best(self) -> list[Segmentation]:
        """Segmentations of the smallest intervals, the best first; none when nothing fits."""
        start, end = 0, len(self.grid)
        found: dict[int, Segmentation | None] = {}
        while start < end:
            middle = (start + end) // 2
            found[middle] = self.relaxed(middle)
            one = found[middle]
            if one is not None and one.load <= NEARLY:
                end = middle
            else:
                start = middle + 1
        near = [found.get(at) or self.relaxed(at) for at in range(start, min(start + 3, len(self.grid)))]
        unique = {one.shared: one for one in reversed(near) if one is not None and one.shared}
        return sorted(unique.values(), key=lambda one: one.interval)

    def of(self, shared: Sequence[tuple[str, ...]], interval: int) -> Segmentation:
        """The segmentation of a finished design: the blocks of each shared unit, and its frame interval."""
        owner = {block: index for index, piece in enumerate(self.pieces) for block in piece.plan.blocks}
        return Segmentation(tuple((owner[blocks[0]], owner[blocks[-1]] + 1) for blocks in shared), interval, 0.0)

    def relaxed(self, at: int) -> Segmentation | None:
        """The segmentation of least load that rising prices lead to, at an interval of the grid."""
        interval = self.grid[at]
        limit = self.limit(interval)
        ways = self.streamed_costs(at)
        usable = self.bodies.intervals <= interval
        shares = START / START.sum()
        best: Segmentation | None = None
        for _ in range(ROUNDS):
            shared, costs = self.path(shares / limit, usable, ways)
            if costs is None:
                return None
            loads = costs / limit
            if best is None or loads.max() < best.load:
                best = Segmentation(shared, int(interval), float(loads.max()))
            if best.load <= 1:
                return best
            shares = shares * np.exp(STEEP * np.clip(loads - 1, -0.5, 0.5))
            shares /= shares.sum()
        return best

    def path(
        self, prices: np.ndarray, usable: np.ndarray, ways: Sequence[np.ndarray]
    ) -> tuple[tuple[tuple[int, int], ...], np.ndarray | None]:
        """The cheapest segmentation at given prices, and its costs; None when there is none."""
        count, bodies = len(self.pieces), self.bodies
        price = np.where(usable, bodies.costs @ prices, np.inf)
        least = [price[bodies.of_segment(index)].min() for index in range(len(bodies.segments))]
        ending: dict[int, list[int]] = {}
        for index, (_, end) in enumerate(bodies.segments):
            ending.setdefault(end, []).append(index)
        total = np.full(count + 1, np.inf)
        total[0] = 0
        taken = np.full(count + 1, -1)
        for end in range(1, count + 1):
            alone = ways[end - 1] @ prices
            total[end] = total[end - 1] + (alone.min() if len(alone) else np.inf)
            for index in ending.get(end, ()):
                through = total[bodies.segments[index][0]] + least[index]
                if through < total[end]:
                    total[end], taken[end] = through, index
        if not np.isfinite(total[-1]):
            return (), None
        costs, shared, at = np.zeros(len(KINDS)), [], count
        while at:
            index = int(taken[at])
            if index < 0:
                at -= 1
                costs += ways[at][int((ways[at] @ prices).argmin())]
            else:
                rows = bodies.of_segment(index)
                costs += bodies.costs[rows][int(price[rows].argmin())]
                shared.append(bodies.segments[index])
                at = bodies.segments[index][0]
        return tuple(reversed(shared)), costs

    def plans(self, chosen: Segmentation) -> tuple[UnitPlan, ...]:
        """The plans of a segmentation, each shared unit one operation with a choice of finished bodies."""
        plans: list[UnitPlan] = []
        at = 0
        for number, (start, end) in enumerate(chosen.shared, start=1):
            plans += streamed(self.pieces[at:start])
            plans.append(self.shared_plan(f"shared{number}", start, end, chosen.interval))
            at = end
        return (*plans, *streamed(self.pieces[at:]))

    def shared_plan(self, name: str, start: int, end: int, interval: int) -> UnitPlan:
        """One shared unit."""
        offset = next(first for first, last in self.runs if first <= start < last)
        shareable = self.shareables[offset]
        every = shareable.candidates(start - offset, end - offset, self.limit())
        few = cheapest(every, self.prices(interval), interval * FINE)
        if not len(few.intervals):
            raise CheckFailed(f"No shared unit computes '{self.pieces[start].plan.name}' and what follows it so fast.")
        plans = [piece.plan for piece in self.pieces[start:end]]
        units = [
            shared_unit(name, plans, shareable.sharing(start - offset, end - offset, which))
            for which in sorted(few.which, key=lambda which: -which[2])
        ]
        edges = plans[0].operations[0].inputs, plans[-1].operations[-1].outputs
        stages = tuple(unit.stages[0] for unit in units)
        operation = Operation("shared_body", f"{name}_shared", *edges, choices=stages)
        return replace(plans[0], name=name, kind="body", blocks=units[0].blocks, operations=(operation,))


def runs(parts: Sequence[Piece]) -> Iterator[tuple[int, int]]:
    """Longest runs of shareable pieces: the first, and the one behind the last."""
    start = None
    for index, able in enumerate([*(part.shareable for part in parts), False]):
        if able and start is None:
            start = index
        elif not able and start is not None:
            yield start, index
            start = None


def search(operations: Sequence[Operation], limits: Limits, catalogue: Catalogue) -> Search:
    """The search for a piece's streamed foldings."""
    early = {name: Room(early=pixels) for name, pixels in early_pixels(operations).items()}
    return Search(operations, limits, early, catalogue)
