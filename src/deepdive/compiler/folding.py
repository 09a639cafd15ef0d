"""The smallest frame interval whose cheapest folding fits the board.

For one interval the search prices every resource and takes the cheapest folding. When that passes a limit, the price
of what is short rises and the search runs again (Lagrangian relaxation with multiplicative updates). The prices also
prove the opposite: when even the cheapest folding costs more than the limits themselves would, nothing fits.
Weights stay on chip as long as a folding with all of them on chip is found; only then may some be read from external
memory, and the price of block RAM and of memory ports decides which: those that free most per port.
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
        limits = Limits(fastest, slowest, site.board.memory.port_bits)
        self.search = Search(self.operations, limits, early)

    def fold(self, interval: int) -> tuple[Unit, ...] | None:
        """Units that keep the interval and fit, or None when none were found."""
        return self.priced(interval, external=False) or self.priced(interval, external=True)

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

    def priced(self, interval: int, *, external: bool) -> tuple[Unit, ...] | None:
        """As `fold`, with or without weights in external memory."""
        limits = self.site.limits(interval)
        limit = np.array([max(limits[kind], 1e-6) for kind in KINDS])
        skips = self.skips(interval)
        shares = np.full(len(KINDS), 1 / len(KINDS))
        for _ in range(ROUNDS):
            folding = self.search.cheapest(Question(interval, shares / limit, external, skips))
            if folding is None or float(folding.costs @ (shares / limit)) > 1 + 1e-9:
                return None
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

    def least(self, interval: int) -> dict[str, float]:
        """The least of each kind that any folding of the interval takes, each for itself."""
        found: dict[str, float] = {}
        for index, kind in enumerate(KINDS):
            prices = np.full(len(KINDS), 1e-12)
            prices[index] = 1.0
            folding = self.search.cheapest(Question(interval, prices, True, self.skips(interval)))
            found[kind] = math.inf if folding is None else float(folding.costs[index])
        return found


def fastest_interval(operations: Sequence[Operation], macs: int, site: Site) -> int:
    """No folding can be faster: by the DSPs, and by the beats of the widest stream."""
    beats = max(
        edge.height * edge.width for operation in operations for edge in (*operation.inputs, *operation.outputs)
    )
    return max(beats, math.ceil(macs / max(site.limits(1)["dsp"], 1)))
