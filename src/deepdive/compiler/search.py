"""The cheapest foldings for a frame interval, found by dynamic programming along the data flow.

The stages are taken in order. What the rest of the network can see of those before is the `Way` of the edges that are
alive: the number of lanes, and how far the channels are padded. So one table with an axis an edge holds, for every
choice of ways, the least cost so far. A stage replaces the axis of its input by one of its output; a fork splits one,
an add joins two; between any two stages a repack may change the lanes. Costs are sums over stages, so the result is the
cheapest of all combinations, not a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepdive.compiler.budget import KINDS
from deepdive.compiler.fifos import Room
from deepdive.compiler.options import NO_FOLDING, Catalogue, Limits, Options, fifo_costs, options
from deepdive.compiler.plan import JOINS, Edge, Operation, Way, renamed

NO_ROOM = Room()
REPACK_PRICE = 2e-4
"""On top of what a repack costs, in shares of the budget: of two foldings that cost the same, take that without."""


@dataclass(frozen=True)
class Choice:
    """Folding of one operation: ways of its inputs, arriving and as it takes them, of its outputs, and the rest."""

    arriving: tuple[Way, ...]
    taken: tuple[Way, ...]
    given: tuple[Way, ...]
    folding: Mapping[str, Any]


@dataclass(frozen=True)
class Folding:
    """A folding of the whole network and what it costs, in the order of KINDS."""

    choices: tuple[Choice, ...]
    costs: np.ndarray


@dataclass(frozen=True)
class Question:
    """What a folding is wanted for.

    Parameters
    ----------
    interval
        Clock cycles a frame that every stage must keep.
    prices
        What one of each of KINDS costs, float64.
    skips
        Room that the FIFOs in front of joins need, by name of the edge.
    external
        Positions of the dense operations that read their weights from external memory.
    """

    interval: int
    prices: np.ndarray
    skips: Mapping[str, Room]
    external: frozenset[int] = frozenset()


class Search:
    """All foldings of a chain of operations, ready to be priced.

    Parameters
    ----------
    operations
        Of the whole network, in order of the data flow.
    limits
        Which foldings to list.
    early
        Room for what strided windows give too early, by name of the edge.
    catalogue
        What other searches found out about foldings, and this one does.
    """

    def __init__(
        self, operations: Sequence[Operation], limits: Limits, early: Mapping[str, Room], catalogue: Catalogue
    ) -> None:
        self.operations = tuple(operations)
        self._limits, self._early, self._catalogue = limits, early, catalogue
        self._known: dict[object, Options] = {}
        self._fifos: dict[object, np.ndarray] = {}
        self.stages = [self._options(operation) for operation in self.operations]
        self.repacks = {
            edge.name: self._options(Operation("repack", "r", (edge,), (renamed(edge, "r"),)))
            for operation in self.operations
            for edge in operation.inputs
            if edge.taps == 1
        }

    def _options(self, operation: Operation, *, external: bool = False) -> Options:
        room = self._early.get(operation.inputs[0].name, NO_ROOM) if operation.kind != "repack" else NO_ROOM
        key = (operation.shape, room, external)
        if key not in self._known:
            self._known[key] = options(operation, self._limits, self._catalogue.of(operation, room), external=external)
        return self._known[key]

    def external(self, position: int) -> Options:
        """Foldings of a dense operation that reads its weights from external memory; there may be none."""
        return self._options(self.operations[position], external=True)

    def found(self, position: int, question: Question) -> Options:
        """The foldings of an operation that a question is about."""
        return self.external(position) if position in question.external else self.stages[position]

    def fifos(self, edge: Edge, room: Room, reader: Operation) -> np.ndarray:
        """`fifo_costs`, remembered."""
        key = (edge.shape, room, reader.kind)
        if key not in self._fifos:
            self._fifos[key] = fifo_costs(edge, room, reader)
        return self._fifos[key]

    def intervals(self) -> np.ndarray:
        """Every frame interval that some folding has, ascending."""
        return np.unique(np.concatenate([found.intervals for found in self.stages]))

    def cheapest(self, question: Question) -> Folding | None:
        """The folding that costs least and keeps the interval; None when there is none."""
        return Table(self, question).solve()


@dataclass(frozen=True)
class Step:
    """How to go back over one operation: `sources` from `targets`, the other axes staying as they are."""

    operation: int | None  # None: a repack
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    others: tuple[str, ...]
    best: np.ndarray | None  # (others..., target): index of the best source; None: all lanes are the same
    which: np.ndarray  # (source, target) or (lanes,): the option taken, -1 for none
    places: tuple[np.ndarray, ...] = ()  # with best None: index of those lanes among each source's, then a target's

    def back(self, at: dict[str, int]) -> int:
        """Set the lanes of the sources in `at`; return the option taken."""
        target = at[self.targets[0]]
        if self.best is None:
            lane = int(np.searchsorted(self.places[-1], target))
            at.update({name: int(place[lane]) for name, place in zip(self.sources, self.places, strict=False)})
            return int(self.which[lane])
        source = int(self.best[(*(at[name] for name in self.others), target)])
        at[self.sources[0]] = source
        return int(self.which[source, target])


class Table:
    """One run of the dynamic programme."""

    def __init__(self, search: Search, question: Question) -> None:
        self.search, self.question = search, question
        image = search.operations[0].inputs[0]
        self.axes: list[str] = [image.name]
        self.cost = np.zeros(len(image.ways))
        self.steps: list[Step] = []
        self.priced: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def solve(self) -> Folding | None:
        """Run over all operations, then back."""
        for index, operation in enumerate(self.search.operations):
            found = self.search.found(index, self.question)
            for edge in operation.inputs:
                size = (len(edge.ways), len(edge.ways))
                if edge.taps == 1:
                    costs, which = self.spread(self.search.repacks[edge.name], size)
                    costs += REPACK_PRICE
                    np.fill_diagonal(costs, 0.0)
                else:
                    costs, which = np.full(size, np.inf), np.full(size, -1, dtype=np.intp)
                    np.fill_diagonal(costs, 0.0)
                self.replace(None, edge.name, taken(edge), costs, which)
            if len(operation.inputs) == len(operation.outputs) == 1:
                source, target = operation.inputs[0], operation.outputs[0]
                costs, which = self.spread(found, (len(source.ways), len(target.ways)))
                self.replace(index, taken(source), target.name, costs, which)
            else:
                self.together(index, operation, found)
            if not np.isfinite(self.cost).any():
                return None
        return self.trace()

    def spread(self, found: Options, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Least price from ways in to ways out, and which option has it."""
        if id(found) not in self.priced:
            rows = np.flatnonzero(found.intervals <= self.question.interval)
            price = found.costs[rows] @ self.question.prices
            order = np.argsort(-price, kind="stable")  # the cheapest last: later writes win
            costs, which = np.full(size, np.inf), np.full(size, -1, dtype=np.intp)
            at = found.ways_in[rows][order], found.ways_out[rows][order]
            costs[at], which[at] = price[order], rows[order]
            self.priced[id(found)] = costs, which
        costs, which = self.priced[id(found)]
        return costs.copy(), which

    def replace(self, index: int | None, source: str, target: str, costs: np.ndarray, which: np.ndarray) -> None:
        """One axis by another."""
        axis = self.axes.index(source)
        sums = np.moveaxis(self.cost, axis, -1)[..., :, None] + costs
        best = sums.argmin(axis=-2)
        self.cost = np.take_along_axis(sums, best[..., None, :], axis=-2)[..., 0, :]
        others = [name for name in self.axes if name != source]
        self.steps.append(Step(index, (source,), (target,), tuple(others), best, which))
        self.axes = [*others, target]

    def together(self, index: int, operation: Operation, found: Options) -> None:
        """An operation with the same lanes on all its edges: the diagonal of its inputs to that of its outputs."""
        sources = tuple(taken(edge) for edge in operation.inputs)
        targets = tuple(edge.name for edge in operation.outputs)
        *before, after = common_places((*operation.inputs, operation.outputs[0]))
        costs, which = self.spread(found, (len(operation.inputs[0].ways), len(operation.outputs[0].ways)))
        price = costs[before[0], after]
        if operation.kind in JOINS:
            price += self.join_fifos(operation) @ self.question.prices
        others = [name for name in self.axes if name not in sources]
        table = np.moveaxis(self.cost, [self.axes.index(name) for name in sources], range(-len(sources), 0))
        sizes = [len(edge.ways) for edge in operation.outputs]
        wide: np.ndarray = np.full((*table.shape[: len(others)], *sizes), np.inf)
        taken_lanes: Any = (..., *before)
        given_lanes: Any = (..., *[after] * len(targets))
        wide[given_lanes] = table[taken_lanes] + price
        self.cost = wide
        self.steps.append(Step(index, sources, targets, tuple(others), None, which[before[0], after], (*before, after)))
        self.axes = [*others, *targets]

    def join_fifos(self, operation: Operation) -> np.ndarray:
        """Cost of both FIFOs in front of a join for all lanes that its edges share: (lanes, len(KINDS))."""
        places = common_places((*operation.inputs, operation.outputs[0]))
        rooms = [self.question.skips.get(edge.name, NO_ROOM) for edge in operation.inputs]
        fifos = [
            self.search.fifos(edge, room, operation)[place]
            for edge, room, place in zip(operation.inputs, rooms, places, strict=False)
        ]
        return np.sum(fifos, axis=0)

    def trace(self) -> Folding:
        """From the cheapest end back to the image."""
        at = dict(zip(self.axes, map(int, np.unravel_index(int(self.cost.argmin()), self.cost.shape)), strict=True))
        costs = np.zeros(len(KINDS))
        foldings: dict[int, Mapping[str, Any]] = {}
        for step in reversed(self.steps):
            option = step.back(at)
            if step.operation is None:
                if option >= 0 and at[step.sources[0]] != at[step.targets[0]]:
                    costs += self.search.repacks[step.sources[0]].costs[option]
                continue
            operation = self.search.operations[step.operation]
            found = self.search.found(step.operation, self.question)
            costs += found.costs[option]
            foldings[step.operation] = found.foldings[option]
            if operation.kind in JOINS:
                costs += self.join_fifos(operation)[np.searchsorted(step.places[-1], at[step.targets[0]])]
        choices = tuple(
            Choice(
                arriving=tuple(edge.ways[at[edge.name]] for edge in operation.inputs),
                taken=tuple(edge.ways[at[taken(edge)]] for edge in operation.inputs),
                given=tuple(edge.ways[at[edge.name]] for edge in operation.outputs),
                folding=foldings.get(index, NO_FOLDING),
            )
            for index, operation in enumerate(self.search.operations)
        )
        return Folding(choices, costs)


def common_places(edges: Sequence[Edge]) -> list[np.ndarray]:
    """For each edge the indices, among its ways, of those that all of them have; ascending."""
    common = sorted(set.intersection(*(set(edge.ways) for edge in edges)))
    return [np.array([edge.ways.index(way) for way in common], dtype=np.intp) for edge in edges]


def taken(edge: Edge) -> str:
    """Name of the axis behind a possible repack."""
    return f"{edge.name} taken"
