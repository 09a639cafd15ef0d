"""The smallest frame interval whose cheapest folding fits the board.

For one interval the search prices every resource and takes the cheapest folding, with weights in block RAM; those that
do not fit there move to LUTs (`placement`). When a limit is still passed, the price of what is short rises and the
search runs again (Lagrangian relaxation with multiplicative updates). When that does not help, the largest layer whose
weights a memory port can bring in time reads them from external memory, then the next largest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from deepdive.compiler.budget import KINDS, Budget, excess, usage
from deepdive.compiler.build import build_units, skip_rooms
from deepdive.compiler.exchange import exchanged
from deepdive.compiler.fifos import Room, early_pixels, likely_rooms
from deepdive.compiler.options import LIGHT_PAIR_BITS, Catalogue, Limits, vector
from deepdive.compiler.padding import padded
from deepdive.compiler.placement import place
from deepdive.compiler.plan import DENSE, Operation, UnitPlan
from deepdive.compiler.search import Folding, Question, Search
from deepdive.compiler.ultra import in_ultra, moves
from deepdive.hardware.boards import Board
from deepdive.hardware.power import CLOCK_UW_PER_MHZ_FF, UW_PER_MHZ
from deepdive.hardware.stages.arithmetic import CODE_BITS, fabric_multiplier_luts, pair_field
from deepdive.hardware.units import Unit

ROUNDS = 12
PATIENCE, HOPELESS = 3, 1.15
"""After so many rounds a limit must not be passed by more than this factor."""
TRIES = 32
"""How many intervals below the bisection's result are looked at again; of more, evenly chosen ones."""
STEEP = 2.0
LOGIC = ("dsp", "lut", "ff")
"""What the exchange of stages looks after; block RAM is left to `place`, which moves weights."""
SHARES = 8
"""Prices tried to prove that DSPs and LUTs do not suffice together."""
START = np.array([1.0, 1.0, 0.2, 1.0, 0.1, 0.1])
"""First shares of KINDS in the price of a folding: what is most often short counts most."""
LIGHT = 0.1
"""Share of the LUTs that weights may take before external memory is considered."""
FEW_PIXELS = 4
SPAN = 16
"""The first search looks at frame intervals up to so many times the least that the DSPs could reach."""


@dataclass(frozen=True)
class Site:
    """Where a network is to be folded; and what is known already of its stages, at any clock.

    With `dsp_instances` every multiplier in a DSP is an instance of it, which sums what its neighbours multiply.
    """

    board: Board
    clock_mhz: float
    budget: Budget
    dsp_instances: bool = False
    catalogue: Catalogue = field(default_factory=Catalogue, compare=False, repr=False)

    def limits(self, interval: int) -> dict[str, float]:
        """The most of each kind at a frame interval."""
        return self.budget.limits(self.board, self.clock_mhz, interval)

    def limit(self, interval: int) -> np.ndarray:
        """The same in the order of KINDS, to divide by: positive float64 (len(KINDS),)."""
        limits = self.limits(interval)
        return np.array([max(limits[kind], 1e-6) for kind in KINDS])


@dataclass(frozen=True)
class Wish:
    """Units for a frame interval: shares of KINDS in the price of the first folding, positions of the dense operations
    whose weights lie in external memory, and the most LUTs of weights."""

    interval: int
    shares: np.ndarray
    external: frozenset[int]
    luts: float


class Folder:
    """Folds one network on one site, at any frame interval between `fastest` and `slowest`."""

    def __init__(self, plans: Sequence[UnitPlan], site: Site, fastest: int, slowest: int) -> None:
        self.plans, self.site = padded(plans), site
        self.operations = tuple(operation for plan in self.plans for operation in plan.operations)
        early = {name: Room(early=pixels) for name, pixels in early_pixels(self.operations).items()}
        limits = Limits(fastest, slowest, site.board.memory.port_bits, site.board.dsp_bits)
        self.search = Search(self.operations, limits, early, site.catalogue)
        dense = [
            index
            for index, operation in enumerate(self.operations)
            if operation.kind in DENSE and operation.outputs[0].height * operation.outputs[0].width <= FEW_PIXELS
        ]
        self.by_size = sorted(dense, key=lambda index: -weight_bits(self.operations[index]))
        self._dsp_shares: dict[int, float | None] = {}

    def fastest(self) -> tuple[Unit, ...] | None:
        """Units of the smallest frame interval that fits.

        What fits an interval fits every longer one, but `fold` may miss a folding where several resources are short at
        once. So bisection only finds an interval from which to look down: all the shorter ones that DSPs and LUTs would
        do for are tried as well, the shortest first.
        """
        intervals = self.search.intervals()
        start, end = self.enough_logic(intervals), len(intervals) - 1
        low, best = start, self.fold(int(intervals[end]))
        if best is None:
            return None
        while start < end:
            middle = (start + end) // 2
            units = self.fold(int(intervals[middle]))
            if units is None:
                start = middle + 1
            else:
                best, end = units, middle
        for index in np.unique(np.linspace(low, end, min(TRIES, end - low), endpoint=False, dtype=int)):
            if units := self.fold(int(intervals[index])):
                return units
        return best

    def enough_logic(self, intervals: np.ndarray) -> int:
        """Position of the first interval that the board's DSPs and LUTs may do for, were they all that counts."""
        start, end = 0, len(intervals) - 1
        while start < end:
            middle = (start + end) // 2
            if self.overloaded(int(intervals[middle])):
                start = middle + 1
            else:
                end = middle
        return start

    def overloaded(self, interval: int) -> bool:
        """Whether prices prove that no folding of the interval keeps both DSPs and LUTs within their limits."""
        return self.dsp_share(interval) is None

    def dsp_share(self, interval: int) -> float | None:
        """Share of the DSPs in a price of DSPs and LUTs under which neither is short; None where both must be.

        A folding that keeps both limits costs at most one, whatever the shares; so where the cheapest costs more there
        is none (the dual of the relaxation). Bisection looks for the shares that prove it: what the cheapest folding
        has too much of becomes dearer.
        """
        if interval not in self._dsp_shares:
            self._dsp_shares[interval] = self._balanced(interval)
        return self._dsp_shares[interval]

    def _balanced(self, interval: int) -> float | None:
        limit = self.site.limit(interval)
        logic = [KINDS.index("dsp"), KINDS.index("lut")]
        low, high = 0.0, 1.0
        for _ in range(SHARES):
            share = (low + high) / 2
            shares = np.zeros(len(KINDS))
            shares[logic] = share, 1 - share
            # Without the room that FIFOs in front of joins need: that is known only of a finished folding.
            folding = self.search.cheapest(Question(interval, shares / limit, {}))
            if folding is None or float(shares @ (folding.costs / limit)) > 1 + 1e-9:
                return None
            dsp, lut = (folding.costs / limit)[logic]
            if max(dsp, lut) <= 1:
                break
            low, high = (share, high) if dsp > lut else (low, share)
        return share

    def fold(self, interval: int, first: np.ndarray | None = None) -> tuple[Unit, ...] | None:
        """Units that keep the interval and fit, or None when none were found.

        `first` are shares of KINDS in the price of the first folding, float64; by default what is short counts most.
        """
        limits = self.site.limits(interval)
        if self.overloaded(interval):
            return None
        movable = self.movable(interval, limits)
        for count in range(len(movable) + 1):
            luts = limits["lut"] * (LIGHT if count == 0 and movable else 1)
            shares = self.first_shares(interval) if first is None else first / first.sum()
            units = self.priced(Wish(interval, shares, frozenset(movable[:count]), luts))
            if units is not None:
                return units
        return None

    def coolest(self, interval: int) -> tuple[Unit, ...] | None:
        """Units that keep the interval, from prices that start as what a resource draws when it works."""
        limits = self.site.limits(interval)
        draws = {**UW_PER_MHZ, "ff": UW_PER_MHZ["ff"] + CLOCK_UW_PER_MHZ_FF}
        return self.fold(interval, np.array([draws.get(kind, 0.0) * limits[kind] for kind in KINDS]))

    def movable(self, interval: int, limits: Mapping[str, float]) -> list[int]:
        """Dense operations whose weights external memory can bring in time, largest first, as many as ports allow.

        Every pixel reads all weights again, so only maps of a few pixels - fully connected layers - come into question.
        """
        found: list[int] = []
        left = limits["bytes"]
        for position in self.by_size:
            options = self.search.external(position)
            usable = options.costs[options.intervals <= interval, KINDS.index("bytes")]
            if len(usable) and usable.min() <= left and len(found) < limits["ports"]:
                left -= usable.min()
                found.append(position)
        return found

    def priced(self, wish: Wish) -> tuple[Unit, ...] | None:
        """Units that fit."""
        limits, limit = self.site.limits(wish.interval), self.site.limit(wish.interval)
        logic = np.where(np.isin(KINDS, LOGIC), limit, np.inf)
        skips = likely_rooms(self.operations, wish.interval)
        shares = wish.shares
        for round_ in range(ROUNDS):
            question = Question(wish.interval, shares / limit, skips, wish.external)
            folding = self.search.cheapest(question)
            if folding is None:
                return None
            folding = exchanged(self.search, question, folding, logic)
            folding = place(self.lightened(folding, limits["uram"]), self.operations, limit, wish.luts)
            loads = folding.costs / limit
            if (loads <= 1).all():
                units = in_ultra(build_units(self.plans, folding.choices), limits["uram"])
                used = usage(units)
                if not excess(used, limits):
                    return units
                skips = skip_rooms(self.plans, folding.choices)  # known only nearly before
                loads = np.array([used[kind] for kind in KINDS]) / limit
            if round_ >= PATIENCE and loads.max() > HOPELESS:
                return None
            shares = shares * np.exp(STEEP * np.clip(loads - 1, -0.5, 0.5))
            shares /= shares.sum()
        return None

    def first_shares(self, interval: int) -> np.ndarray:
        """Shares of KINDS in the first price: `START`, DSPs and LUTs as they balance each other."""
        shares, logic = START.copy(), [KINDS.index("dsp"), KINDS.index("lut")]
        share = self.dsp_share(interval)
        if share is not None:
            shares[logic] = shares[logic].sum() * np.array([share, 1 - share])
        return shares / shares.sum()

    def lightened(self, folding: Folding, most: float) -> Folding:
        """The folding's costs without what its FIFOs leave to at most so many UltraRAMs."""
        if most < 1:
            return folding
        moved = moves(build_units(self.plans, folding.choices), most)
        freed = [np.subtract(vector(after.resources), vector(before.resources)) for before, after in moved]
        return Folding(folding.choices, folding.costs + np.sum(freed, axis=0)) if freed else folding

    def least(self, interval: int, kinds: Sequence[str] = KINDS) -> dict[str, float]:
        """The least of each kind that any folding of the interval takes, each for itself.

        Of block RAM what is left when all weights that can are in external memory, and as many as can in LUTs.
        """
        limits, limit = self.site.limits(interval), self.site.limit(interval)
        found: dict[str, float] = {}
        skips = likely_rooms(self.operations, interval)
        for kind in kinds:
            index = KINDS.index(kind)
            prices = np.full(len(KINDS), 1e-12)
            prices[index] = 1.0
            external = frozenset(self.movable(interval, limits)) if kind == "bram36" else frozenset()
            folding = self.search.cheapest(Question(interval, prices, skips, external))
            if folding is not None and kind == "bram36":
                folding = place(self.lightened(folding, limits["uram"]), self.operations, limit, limits["lut"])
            found[kind] = math.inf if folding is None else float(folding.costs[index])
        return found


def weight_bits(operation: Operation) -> int:
    """Bits of the weights that a dense operation holds."""
    source, target = operation.inputs[0], operation.outputs[0]
    return int(source.taps * source.channels * target.channels * operation.fields["weight_bits"])


def fastest_interval(operations: Sequence[Operation], site: Site, *, fabric: bool = False) -> int:
    """No folding can be faster: by the DSPs, with `fabric` by LUTs that multiply as well, and by the widest stream."""
    beats = max(
        edge.height * edge.width for operation in operations for edge in (*operation.inputs, *operation.outputs)
    )
    products = sum(dsp_products(operation, site.board.dsp_bits) for operation in operations)
    limits = site.limits(1)
    of_luts = limits["lut"] / (2 * fabric_multiplier_luts(CODE_BITS, LIGHT_PAIR_BITS)) if fabric else 0
    return max(beats, math.ceil(products / max(limits["dsp"] + of_luts, 1)))


def dsp_products(operation: Operation, dsp_bits: int) -> float:
    """Times a frame that a DSP, or LUTs instead, must multiply: two products at once where pairs of weights fit."""
    source, target = operation.inputs[0], operation.outputs[0]
    pixels = target.height * target.width
    if operation.kind not in DENSE:  # depthwise multipliers may be made of LUTs
        return 0
    bits = operation.fields["weight_bits"]
    packed = pair_field(bits, dsp_bits) and target.channels > 1
    products = pixels * source.taps * source.channels * target.channels
    return products / operation.fields.get("conv_groups", 1) / (2 if packed else 1)
