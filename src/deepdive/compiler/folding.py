"""The smallest frame interval whose cheapest folding fits the board.

For one interval the search prices every resource and takes the cheapest folding, weights in block RAM. Weights that do
not fit there move to LUTs or external memory (`placement`). When a limit is still passed, the price of what is short
rises and the search runs again (Lagrangian relaxation with multiplicative updates).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deepdive.compiler.budget import KINDS, Budget, excess, usage
from deepdive.compiler.build import build_units
from deepdive.compiler.fifos import Room, early_pixels, rooms
from deepdive.compiler.options import Limits
from deepdive.compiler.placement import place
from deepdive.compiler.plan import Edge, Operation, UnitPlan
from deepdive.compiler.search import Question, Search
from deepdive.hardware.boards import Board
from deepdive.hardware.units import Unit

ROUNDS = 16
STEEP = 3.0
SPAN = 16
"""The first search looks at frame intervals up to so many times the least that the DSPs could reach."""


@dataclass(frozen=True)
class Site:
    """Where a network is to be folded."""

    board: Board
    clock_mhz: float
    budget: Budget

    def limits(self, interval: int) -> dict[str, float]:
        """The most of each kind at a frame interval."""
        return self.budget.limits(self.board, self.clock_mhz, interval)


class Folder:
    """Folds one network on one site, at any frame interval between `fastest` and `slowest`."""

    def __init__(self, plans: Sequence[UnitPlan], site: Site, fastest: int, slowest: int) -> None:
        self.plans, self.site = tuple(plans), site
        self.operations = tuple(operation for plan in plans for operation in plan.operations)
        early = {name: Room(early=pixels) for name, pixels in early_pixels(self.operations).items()}
        limits = Limits(fastest, slowest)
        self.search = Search(self.operations, limits, early)

    def fastest(self) -> tuple[Unit, ...] | None:
        """Units of the smallest frame interval that fits, by bisection of the intervals that foldings have."""
        intervals = self.search.intervals()
        best: tuple[Unit, ...] | None = None
        start, end = 0, len(intervals)
        while start < end:
            middle = (start + end) // 2
            units = self.fold(int(intervals[middle]))
            if units is None:
                start = middle + 1
            else:
                best, end = units, middle
        return best

    def fold(self, interval: int) -> tuple[Unit, ...] | None:
        """Units that keep the interval and fit, or None when none were found."""
        limits = self.site.limits(interval)
        limit = np.array([max(limits[kind], 1e-6) for kind in KINDS])
        skips = self.skips(interval)
        if self.least(interval, ["dsp"])["dsp"] > limits["dsp"]:
            return None
        shares = np.full(len(KINDS), 1 / len(KINDS))
        for _ in range(ROUNDS):
            folding = self.search.cheapest(Question(interval, shares / limit, skips))
            if folding is None:
                return None
            folding = place(folding, self.operations, limit, self.site.board.memory.port_bits)
            loads = folding.costs / limit
            if (loads <= 1).all():
                units = build_units(self.plans, folding.choices)
                used = usage(units)
                if not excess(used, limits):
                    return units
                loads = np.array([used[kind] for kind in KINDS]) / limit
            shares = shares * np.exp(STEEP * np.clip(loads - 1, -0.5, 0.5))
            shares /= shares.sum()
        return None

    def skips(self, interval: int) -> dict[str, Room]:
        """Room of the skip FIFOs with every edge as narrow as the interval allows: close to what will be needed."""

        def groups(edge: Edge) -> int:
            pixels = edge.height * edge.width
            return next((edge.channels // n for n in edge.lanes if pixels * edge.channels // n <= interval), 1)

        return rooms(self.operations, groups)

    def least(self, interval: int, kinds: Sequence[str] = KINDS) -> dict[str, float]:
        """The least of each kind that any folding of the interval takes, each for itself."""
        found: dict[str, float] = {}
        for kind in kinds:
            index = KINDS.index(kind)
            prices = np.full(len(KINDS), 1e-12)
            prices[index] = 1.0
            folding = self.search.cheapest(Question(interval, prices, self.skips(interval)))
            found[kind] = math.inf if folding is None else float(folding.costs[index])
        return found


def fastest_interval(operations: Sequence[Operation], macs: int, site: Site) -> int:
    """No folding can be faster: by the DSPs, and by the beats of the widest stream."""
    beats = max(
        edge.height * edge.width for operation in operations for edge in (*operation.inputs, *operation.outputs)
    )
    return max(beats, math.ceil(macs / max(site.limits(1)["dsp"], 1)))
