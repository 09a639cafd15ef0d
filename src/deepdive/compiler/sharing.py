"""Shared bodies for any run of consecutive blocks: their frame interval and cost under thousands of foldings.

A table holds the cycles and memories of all blocks that one kind of body can compute (its filter's size, which
pointwise parts it has), for every folding worth a look and some batches. For a segment of blocks they are added up, and
what can be cheapest at some prices and frame interval is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Literal

import numpy as np

from deepdive.compiler.budget import KINDS
from deepdive.compiler.plan import UnitPlan
from deepdive.compiler.shared import Role, Sharing, blocks_of, is_lone, placed
from deepdive.compiler.shared_cost import MemoryCosts, PartCosts, port_cost
from deepdive.compiler.shared_cycles import chain
from deepdive.compiler.shared_foldings import Room, worthwhile
from deepdive.hardware.boards import Board
from deepdive.hardware.stages import SharedBlock
from deepdive.hardware.stages.external import MEMORY_WORD_BYTES
from deepdive.hardware.stages.shared_body import MEMORY_CYCLES, START_CYCLES
from deepdive.hardware.stages.shared_chain import common, tables_of

BATCHES = (1, 2, 4, 8)
"""Frames a batch: more of them fill pipelines and load weights less often, and wait longer."""
PORTS, BYTES = KINDS.index("ports"), KINDS.index("bytes")


@dataclass(frozen=True)
class Place:
    """Where maps and weights of a shared body lie."""

    maps: Literal["external", "on_chip"]
    weights: Literal["external", "on_chip"]
    weight_buffers: Literal[1, 2] = 1


PLACES = (
    Place("external", "external", 1),
    Place("external", "external", 2),
    Place("external", "on_chip"),
    Place("on_chip", "external", 1),
    Place("on_chip", "external", 2),
    Place("on_chip", "on_chip"),
)

VARIANTS = tuple(product(PLACES, BATCHES, (False, True)))
"""Place, batch, and whether depthwise multipliers are made of LUTs."""
NOTHING = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Kind:
    """What a body must be able to compute: one table each.

    Parameters
    ----------
    expand, project
        Whether it has pointwise parts before and behind its window.
    tables
        Parts behind which it has tables.
    lone
        Which of them computes pointwise layers that stand alone: one may be faster, the other have room for weights.
    """

    kernel: tuple[int, int]
    expand: bool
    project: bool
    tables: tuple[str, ...]
    lone: Role

    def fits(self, block: SharedBlock) -> bool:
        """Whether such a body computes a block."""
        layer = block.depthwise
        small = layer is None or all(a <= b for a, b in zip(layer.kernel, self.kernel, strict=True))
        block = placed(block, self.lone)
        if not set(tables_of([block])) <= set(self.tables):
            return False
        return small and self.expand >= bool(block.expand) and self.project >= bool(block.project)


def kinds(blocks: Sequence[SharedBlock]) -> Iterator[Kind]:
    """The kinds of bodies for some blocks: no parts that nothing needs."""
    kernel = common(blocks).kernel
    rest = [block for block in blocks if not is_lone(block)]
    expand, project = any(block.expand for block in rest), any(block.project for block in rest)
    lone: list[Role] = ["expand"] if expand or len(rest) == len(blocks) else []
    if len(rest) < len(blocks) and (project or not expand):
        lone.append("project")
    for role in lone:
        tables = tables_of([placed(block, role) for block in blocks])
        yield Kind(kernel, expand, project or role == "project", tables, role)


@dataclass(frozen=True)
class Candidates:
    """Shared bodies for one segment.

    Parameters
    ----------
    intervals, costs
        Clock cycles a frame float64 (n,), and costs float64 (n, len(KINDS)).
    kinds, rows, variants
        Which of the kinds of bodies, which folding of its table, and which of VARIANTS: int64 (n,).
    """

    intervals: np.ndarray
    costs: np.ndarray
    kinds: np.ndarray
    rows: np.ndarray
    variants: np.ndarray

    @property
    def which(self) -> list[tuple[int, int, int]]:
        """Kind, row and variant of each."""
        columns = (column.tolist() for column in (self.kinds, self.rows, self.variants))
        return list(zip(*columns, strict=True))

    def take(self, rows: Sequence[int]) -> Candidates:
        """Some of them."""
        at = np.array(rows, dtype=np.intp)
        return Candidates(self.intervals[at], self.costs[at], self.kinds[at], self.rows[at], self.variants[at])


class Table:
    """Cycles and costs of all blocks that a kind of body computes."""

    def __init__(self, blocks: Sequence[SharedBlock], kind: Kind, room: Room) -> None:
        self.rows = {index: row for row, index in enumerate(i for i, block in enumerate(blocks) if kind.fits(block))}
        self.blocks = [placed(blocks[index], kind.lone) for index in self.rows]
        shared = common(self.blocks, room.dsp_bits, cascade=room.cascade)
        self.foldings = worthwhile(self.blocks, shared, room)
        if len(self.foldings):
            self.parts = PartCosts(self.blocks, self.foldings, shared)
            self.memories = MemoryCosts(self.blocks, self.foldings, shared)
            self.cycles = {
                batch: np.stack([chain(block, self.foldings, shared, batch) for block in self.blocks])
                for batch in BATCHES
            }


class Shareable:
    """A run of consecutive plans, each of which a shared body can compute, on a board.

    With `cascade` its DSPs sum their products.
    """

    def __init__(
        self,
        plans: Sequence[UnitPlan],
        board: Board,
        limits: np.ndarray,
        prices: np.ndarray,
        *,
        cascade: bool,
    ) -> None:
        self.plans = tuple(plans)
        self.board = board
        self.room = Room(limits, prices, board.memory.port_bits // 8, board.dsp_bits, cascade)
        self._blocks = [block for plan in plans for block in blocks_of(plan.operations)]
        ends = np.cumsum([0, *(len(blocks_of(plan.operations)) for plan in plans)])
        self._ends = [int(end) for end in ends]
        self._tables: dict[Kind, Table] = {}

    @cached_property
    def port_cycles(self) -> int:
        """Clock cycles in which a port brings a word of weights."""
        return max(1, 8 * MEMORY_WORD_BYTES // self.board.memory.port_bits)

    def table(self, kind: Kind) -> Table:
        """The table of a kind of body, made when first asked for."""
        if kind not in self._tables:
            self._tables[kind] = Table(self._blocks, kind, self.room)
        return self._tables[kind]

    def segments(self) -> Iterator[tuple[int, int]]:
        """Every segment of consecutive plans: the first, and the one behind the last."""
        count = len(self.plans)
        return ((start, end) for start in range(count) for end in range(start + 1, count + 1))

    def candidates(self, start: int, end: int, limits: np.ndarray, batches: Sequence[int] = BATCHES) -> Candidates:
        """Every shared body for a segment of plans that keeps the limits, float64 (len(KINDS),)."""
        first, last = self._ends[start], self._ends[end]
        found = [(np.zeros(0), np.zeros((0, len(KINDS))), NOTHING, NOTHING, NOTHING)]
        for number, kind in enumerate(kinds(self._blocks[first:last])):
            table = self.table(kind)
            if not len(table.foldings):
                continue
            one = Segment(table, slice(table.rows[first], table.rows[last - 1] + 1), self.port_cycles)
            for index, (place, batch, fabric) in enumerate(VARIANTS):
                if batch not in batches:
                    continue
                costs = (table.parts.in_luts if fabric else table.parts.in_dsps) + one.memory_costs(place, batch)
                rows = np.flatnonzero((costs[:, :BYTES] <= limits[:BYTES]).all(axis=1))
                cycles = one.interval(place, batch)[rows]
                rows, cycles = rows[np.isfinite(cycles)], cycles[np.isfinite(cycles)]
                which = np.full(len(rows), number), rows, np.full(len(rows), index)
                found.append((cycles, costs[rows], *which))
        return Candidates(*(np.concatenate(column) for column in zip(*found, strict=True)))

    def sharing(self, start: int, end: int, candidate: tuple[int, int, int]) -> Sharing:
        """How the shared body of a candidate is made: of its kind, row and variant."""
        place, batch, fabric = VARIANTS[candidate[2]]
        kind = list(kinds(self._blocks[self._ends[start] : self._ends[end]]))[candidate[0]]
        folding = self.table(kind).foldings.at(
            candidate[1], fabric=fabric, dsp_bits=self.board.dsp_bits, cascade=self.room.cascade
        )
        return Sharing(
            folding=folding,
            lone=kind.lone,
            maps=place.maps,
            weights=place.weights,
            weight_buffers=place.weight_buffers if place.weights == "external" else 2,
            port_cycles=self.port_cycles,
            batch=batch,
        )


class Segment:
    """Some consecutive blocks of a table."""

    def __init__(self, table: Table, rows: slice, port_cycles: int) -> None:
        self.table, self.rows = table, rows
        self.lanes = table.foldings.memory_lanes
        memories = table.memories
        self.loads = memories.weight_words[rows] * port_cycles + MEMORY_CYCLES
        self.weight_bytes = memories.weight_words[rows].sum(axis=0) * MEMORY_WORD_BYTES
        self.read, self.written = memories.read_words[rows], memories.written_words[rows]
        passed = self.read.sum(axis=0) + self.written.sum(axis=0) + self.read[0] + self.written[-1]
        self.map_bytes = passed * self.lanes
        self.readings = np.array([[2 if block.scale else 1] for block in table.blocks[rows]])
        self.work = memories.of_work(rows)
        single = memories.of_constants(rows, buffers=1)
        self.weights = {0: memories.of_constants(rows, buffers=0), 1: single, 2: 2 * single - memories.of_tables(rows)}
        first, last = table.blocks[rows.start], table.blocks[rows.stop - 1]
        self.ends = [self.end(first.shape, self.read[0]), self.end(last.output, self.written[-1])]

    def end(self, shape: tuple[int, int, int], words: np.ndarray) -> np.ndarray:
        """Clock cycles in which a frame comes in or goes out."""
        height, width, channels = shape
        return np.maximum(height * width * channels // np.gcd(channels, self.lanes), words)

    def interval(self, place: Place, batch: int) -> np.ndarray:
        """As `SharedBody.interval_cycles`: float64 (n,), infinite where a folding cannot."""
        memory = MEMORY_CYCLES if place.maps == "external" else 0
        runs = self.table.cycles[batch][self.rows] + (START_CYCLES + memory * self.readings)
        if place.weights == "external":
            later = np.roll(self.loads, -1, axis=0)
            runs = runs + self.loads if place.weight_buffers == 1 else np.maximum(runs, later)
        phase = runs.sum(axis=0)
        for end in self.ends:
            phase = np.maximum(phase, batch * end + memory)
        return np.asarray(np.ceil((phase + START_CYCLES) / batch))

    def memory_costs(self, place: Place, batch: int) -> np.ndarray:
        """Memories, ports and bytes a frame: float64 (n, len(KINDS))."""
        external = place.maps == "external", place.weights == "external"
        found = self.work + self.weights[place.weight_buffers if external[1] else 0]
        found += self.table.memories.of_factors(self.rows, batch)
        found += port_cost(maps=external[0], weights=external[1])
        if external[0]:
            found[:, BYTES] += self.map_bytes
        else:
            found += self.table.memories.of_maps(self.rows, batch)
        if external[1]:
            found[:, BYTES] += self.weight_bytes / batch
        found[:, PORTS] = any(external)
        return found


def cheapest(found: Candidates, prices: np.ndarray, intervals: np.ndarray) -> Candidates:
    """Those that are cheapest for some row of `prices` (rows, len(KINDS)) and some frame interval, ascending."""
    order = np.argsort(found.intervals, kind="stable")
    ends = np.searchsorted(found.intervals[order], intervals, side="right")
    kept: set[int] = set()
    for row in prices:
        price = found.costs[order] @ row
        best = np.minimum.accumulate(price) if len(price) else price
        fresh = np.flatnonzero(price <= best)
        places = np.searchsorted(fresh, ends, side="left") - 1
        kept.update(int(order[fresh[place]]) for place in places if place >= 0)
    return found.take(sorted(kept))
