"""What shared bodies cost, for thousands of foldings at once: nearly what `SharedBody.resources` adds up.

The parts are real stages, one a distinct folding of the part, and so are the memories. FIFOs and
repacks, which are small, are estimated from their widths. The search judges what it takes by the real stage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from deepdive.compiler.budget import KINDS
from deepdive.compiler.shared_cycles import Foldings, Pointwises, factor_words, tap_steps, up, window
from deepdive.hardware.memory import Memory
from deepdive.hardware.resources import Resources
from deepdive.hardware.stages import (
    ChannelScale,
    Dense,
    Depthwise,
    GlobalAveragePool,
    Requantizer,
    ResidualAdd,
    SharedBlock,
    Table,
    Window,
)
from deepdive.hardware.stages.arithmetic import pair_field
from deepdive.hardware.stages.external import MEMORY_WORD_BYTES, PORT
from deepdive.hardware.stages.shared_body import CONTROL, SCALE_BITS, table_memory
from deepdive.hardware.stages.shared_chain import CODE_BITS, Common, tables_behind
from deepdive.hardware.stages.stage import without_memories
from deepdive.hardware.stages.taps import taps_of
from deepdive.hardware.stream import Stream

PARTS = 12
"""Stages of a chain, each with its counters."""
EXCITED_PARTS = 3
"""Pool, scale and the repack of the factors."""
FIFO_LUTS, FIFO_FFS = 1, 2
"""A bit of a FIFO's width: pairs of registers, or small memories with an output register."""
LUT, FF = KINDS.index("lut"), KINDS.index("ff")
WIDE = 1 << 20
"""No memory has so many bits a word."""


def vector(used: Resources) -> np.ndarray:
    """Costs in the order of KINDS: float64 (len(KINDS),)."""
    return np.array([used.dsp, used.lut, used.ff, used.bram36, 0, 0], dtype=np.float64)


class PartCosts:
    """What the parts cost beside their memories, float64 (n, len(KINDS)): depthwise multipliers of DSPs, or of LUTs."""

    def __init__(self, blocks: Sequence[SharedBlock], foldings: Foldings, shared: Common) -> None:
        self.how = widest([layer.requantizer for block in blocks for layer in block.convolutions])
        self.kernel, self.shared, self.strided = shared.kernel, shared, blocks[0]
        common = self.pointwise(foldings.expand, shared.expand_bits)
        common += self.pointwise(foldings.project, shared.project_bits)
        common += each(foldings.memory_lanes, self.residual) if any(block.add for block in blocks) else 0
        common += vector(CONTROL) * (PARTS + 2 + len(shared.tables))
        if any(block.scale for block in blocks):
            common += each(foldings.middle_lanes, partial(self.excite, blocks)) + vector(CONTROL) * EXCITED_PARTS
        for part in shared.tables:
            common += each(table_lanes(foldings, part), self.table)
        # feed, align, gather, pack and the maps' own ends: a repack and a FIFO each.
        lanes = 2 * foldings.memory_lanes + foldings.expand.in_lanes + foldings.expand.lanes
        lanes = lanes + 3 * foldings.middle_lanes + foldings.project.in_lanes + foldings.project.lanes
        common[:, LUT] += (1 + FIFO_LUTS) * CODE_BITS * lanes
        common[:, FF] += (1 + FIFO_FFS) * CODE_BITS * lanes
        self.in_dsps, self.in_luts = (common + self.filters(foldings, fabric=fabric) for fabric in (False, True))

    def pointwise(self, part: Pointwises, bits: int) -> np.ndarray:
        """A column for each of the part's foldings."""
        if not part.in_lanes.all():
            return np.zeros((len(part.lanes), len(KINDS)))
        rows, which = np.unique(np.stack([part.in_lanes, part.out_parallel, part.lanes]), axis=1, return_inverse=True)
        costs = np.array([self.dense(int(a), int(b), int(lanes), bits) for a, b, lanes in rows.T])
        return np.asarray(costs[which.ravel()])

    def dense(self, in_lanes: int, out_parallel: int, lanes: int, bits: int) -> np.ndarray:
        """A pointwise stage that takes several turns."""
        groups = out_parallel // lanes + 1
        stage = Dense(
            kind="pointwise",
            name="part",
            node="part",
            input=stream(in_lanes * groups, in_lanes),
            output=stream(2 * out_parallel, lanes),
            out_parallel=out_parallel,
            weight_bits=bits,
            pair_field=pair_field(bits, self.shared.dsp_bits),
            requantizer=self.how,
            cascade=self.shared.cascade,
        )
        return vector(without_memories(stage))

    def residual(self, lanes: int) -> np.ndarray:
        """The residual add."""
        ends = [stream(lanes, lanes, name=name) for name in ("a", "b", "c")]
        return vector(
            without_memories(ResidualAdd(name="part", node="part", input_a=ends[0], input_b=ends[1], output=ends[2]))
        )

    def excite(self, blocks: Sequence[SharedBlock], lanes: int) -> np.ndarray:
        """Pool, scale, and the FIFOs behind them and behind the repack of the factors."""
        pools = widest([block.pool.requantizer for block in blocks if block.pool])
        scales = widest([block.scale.requantizer for block in blocks if block.scale])
        ends = [stream(lanes, lanes, name=name) for name in ("a", "b", "c")]
        pool = GlobalAveragePool(name="part", node="part", input=ends[0], output=ends[1], requantizer=pools)
        scale = ChannelScale(
            name="part", node="part", input=ends[0], factors=ends[1], output=ends[2], requantizer=scales
        )
        fifos = sum(vector(end.resources) for end in ends)
        return np.asarray(vector(without_memories(pool)) + vector(without_memories(scale)) + fifos)

    def table(self, lanes: int) -> np.ndarray:
        """A table beside its memory, and the FIFO behind it."""
        ends = [stream(lanes, lanes, name=name) for name in ("a", "b")]
        look_up = Table(name="part", node="part", input=ends[0], output=ends[1])
        return vector(without_memories(look_up)) + vector(ends[1].resources)

    def filters(self, foldings: Foldings, *, fabric: bool) -> np.ndarray:
        """Windows and depthwise layers."""
        rows, which = np.unique(np.stack([foldings.middle_lanes, foldings.taps]), axis=1, return_inverse=True)
        costs = np.array([self.middle(int(lanes), int(taps), fabric=fabric) for lanes, taps in rows.T])
        return np.asarray(costs[which.ravel()])

    def middle(self, lanes: int, parallel: int, *, fabric: bool) -> np.ndarray:
        """Window, its FIFO, and depthwise layer."""
        taps = math.prod(self.kernel)
        windows = stream(lanes, lanes, taps=taps)
        layer = Depthwise(
            name="part",
            node="part",
            input=windows,
            output=stream(lanes, lanes),
            weight_bits=self.shared.depthwise_bits,
            requantizer=self.how,
            fabric=fabric,
            cascade=self.shared.cascade,
            taps=taps_of(self.kernel, self.kernel, self.shared.kernels, parallel) if parallel < taps else None,
        )
        raster = Window(
            name="part",
            input=stream(lanes, lanes),
            output=windows,
            kernel=self.kernel,
            stride=(1, 1),
            padding=((self.kernel[0] - 1) // 2, (self.kernel[1] - 1) // 2, self.kernel[0] // 2, self.kernel[1] // 2),
            zero_point=(0,),
        )
        return vector(without_memories(layer)) + vector(without_memories(raster)) + vector(windows.resources)


def costs_of(blocks: Sequence[SharedBlock], foldings: Foldings, shared: Common) -> Iterator[np.ndarray]:
    """Costs of bodies that hold the weights of one block, float64 (n, len(KINDS)): depthwise in DSPs, then in LUTs."""
    parts, memories = PartCosts(blocks, foldings, shared), MemoryCosts(blocks, foldings, shared)
    every = slice(0, len(blocks))
    rest = memories.of_work(every) + memories.of_constants(every, buffers=1)
    yield from (parts.in_dsps + rest, parts.in_luts + rest)


def each(values: np.ndarray, cost: Callable[[int], np.ndarray]) -> np.ndarray:
    """`cost` of every value, computed once for each different one."""
    kinds, which = np.unique(values, return_inverse=True)
    return np.asarray(np.array([cost(int(kind)) for kind in kinds])[which.ravel()])


def table_lanes(foldings: Foldings, part: str) -> np.ndarray:
    """Codes a cycle that the table behind a part looks up: int64 (n,)."""
    return foldings.middle_lanes if part == "depthwise" else np.asarray(getattr(foldings, part).lanes)


def table_cost(part: str, count: int, lanes: int) -> np.ndarray:
    """Cost of the memory of a part's tables."""
    return vector(table_memory(part, lanes, count).resources)


def widest(all_of: Sequence[Requantizer]) -> Requantizer:
    """A requantizer that can do the work of any."""
    return Requantizer(
        acc_bits=max(one.acc_bits for one in all_of),
        mult_bits=max(one.mult_bits for one in all_of),
        per_channel=any(one.per_channel for one in all_of),
    )


def stream(channels: int, lanes: int, *, taps: int = 1, name: str = "stream") -> Stream:
    """A stream of one pixel."""
    return Stream(name=name, height=1, width=1, channels=channels, lanes=lanes, bits=CODE_BITS, taps=taps)


@dataclass(frozen=True)
class Stored:
    """Memories of one place in the hardware, for all foldings: words of what each block needs, int64 (blocks, n)."""

    depths: np.ndarray
    width: np.ndarray


class MemoryCosts:
    """What the memories of consecutive blocks cost."""

    def __init__(self, blocks: Sequence[SharedBlock], foldings: Foldings, shared: Common) -> None:
        inner = np.stack([up(block.middle, foldings.inner) for block in blocks])
        outer = np.stack([up(block.channels, foldings.outer) for block in blocks])
        given = np.stack([up(block.output[2], foldings.outer) for block in blocks])
        has = {role: np.array([[getattr(block, role) is not None] for block in blocks]) for role in ROLES}
        self.stored = {role: np.array([[not block.repeats(role)] for block in blocks]) for role in ROLES}
        self.blocks = tuple(blocks)
        self.table_lanes = {part: table_lanes(foldings, part) for part in shared.tables}
        middle = foldings.middle_lanes
        self.constants: list[Stored] = []
        self.kept: list[Stored] = []
        for role, part, bits, ends in (
            ("expand", foldings.expand, shared.expand_bits, (outer, inner)),
            ("project", foldings.project, shared.project_bits, (inner, given)),
        ):
            if part.in_lanes.all():
                depth = has[role] * (ends[0] // part.in_lanes) * (ends[1] // part.out_parallel)
                self.put(role, depth, part.multipliers * bits)
                self.put(role, has[role] * (ends[1] // part.lanes), part.lanes * SCALE_BITS)
        depth = has["depthwise"] * (inner // middle)
        steps = [
            tap_steps(block, shared, foldings.taps) if block.depthwise else np.zeros_like(middle) for block in blocks
        ]
        self.put("depthwise", depth * np.stack(steps), foldings.taps * middle * shared.depthwise_bits)
        self.put("depthwise", depth, middle * SCALE_BITS)
        rows = [window(block, shared.kernel).row_pixels if block.depthwise else 0 for block in blocks]
        rows_above, columns_left = shared.kernel[0] - 1, shared.kernel[1] - 1
        lines = np.array(rows)[:, None] * depth
        self.work = [
            Stored(lines, CODE_BITS * middle * max(rows_above, 1)),
            Stored(depth, CODE_BITS * middle * max(shared.kernel[0] * columns_left, 1)),
        ]
        waits = [16 if block.scale else 12 for block in blocks]
        lags = [
            window(block, shared.kernel).lag_pixels + wait if block.add else 0
            for block, wait in zip(blocks, waits, strict=True)
        ]
        skips = np.array(lags)[:, None] * (outer // foldings.memory_lanes)
        self.work.append(Stored(skips, CODE_BITS * foldings.memory_lanes))
        early = [block.output[1] // 2 if block.depthwise and block.depthwise.stride[0] > 1 else 0 for block in blocks]
        if foldings.project.in_lanes.all():
            pixel = has["project"] * (inner // foldings.project.in_lanes)
            self.work.append(Stored((np.array(early)[:, None] + 1) * pixel + 2, CODE_BITS * foldings.project.in_lanes))
            self.work.append(Stored(pixel, CODE_BITS * foldings.project.in_lanes))
        if foldings.expand.in_lanes.all():
            pixel = has["expand"] * (outer // foldings.expand.in_lanes)
            self.work += [Stored(pixel + more, CODE_BITS * foldings.expand.in_lanes) for more in (0, 2)]
        words = -(-np.stack([one.width for one in self.constants]) // (8 * MEMORY_WORD_BYTES))
        self.weight_words = np.asarray(sum(one.depths * word for one, word in zip(self.constants, words, strict=True)))
        pixels = np.array([[block.height * block.width] for block in blocks])
        results = np.array([[block.output[0] * block.output[1]] for block in blocks])
        self.map_words = pixels * outer // foldings.memory_lanes
        self.factor_words = np.stack([factor_words(block, foldings) for block in blocks])
        self.read_words = self.map_words + self.factor_words
        pooled = np.array([[block.pool is not None] for block in blocks])
        sums = max((block.pool.requantizer.acc_bits for block in blocks if block.pool), default=0)
        self.work.append(Stored(pooled * (inner // middle), sums * middle))
        self.work.append(Stored((self.factor_words > 0) * (inner // middle), CODE_BITS * middle))
        self.written_words = results * given // foldings.memory_lanes
        self.memory_width = CODE_BITS * foldings.memory_lanes

    def put(self, role: str, depth: np.ndarray, width: np.ndarray) -> None:
        """Constants of a part: what a block needs, and what a ROM of all blocks holds of it."""
        self.constants.append(Stored(depth, width))
        self.kept.append(Stored(depth * self.stored[role], width))

    def of_work(self, segment: slice) -> np.ndarray:
        """Lines, pixels and FIFOs: float64 (n, len(KINDS))."""
        return sum_of(memory(one.depths[segment].max(axis=0), one.width) for one in self.work)

    def of_constants(self, segment: slice, *, buffers: int) -> np.ndarray:
        """Weights and scales: `buffers` of the largest block's; 0: a ROM of all."""
        if buffers:
            found = buffers * sum_of(memory(one.depths[segment].max(axis=0), one.width) for one in self.constants)
        else:
            found = sum_of(memory(one.depths[segment].sum(axis=0), one.width, rom=True) for one in self.kept)
        return found + self.of_tables(segment)

    def of_tables(self, segment: slice) -> np.ndarray:
        """All blocks' tables: they stay on chip."""
        found = np.zeros((len(self.read_words[0]), len(KINDS)))
        for part, lanes in self.table_lanes.items():
            if count := len(tables_behind(self.blocks[segment], part)):
                found += each(lanes, partial(table_cost, part, count))
        return found

    def of_factors(self, segment: slice, batch: int) -> np.ndarray:
        """The FIFO in which the factors of a batch wait."""
        return memory(batch * self.factor_words[segment].max(axis=0), self.memory_width)

    def of_maps(self, segment: slice, batch: int) -> np.ndarray:
        """Maps that rest on chip: two of each."""
        read, written, factors = (words[segment] for words in (self.map_words, self.written_words, self.factor_words))
        inner = (read + factors)[1:]
        if len(inner) > 1 and factors[2].any():  # the map that they scale came in
            inner[1] = factors[2]
        between = inner.max(axis=0) if len(inner) else np.zeros_like(read[0])
        return 2 * sum_of(memory(batch * words, self.memory_width) for words in (read[0], between, written[-1]))


ROLES = ("expand", "depthwise", "project")


def sum_of(costs: object) -> np.ndarray:
    """Sum of arrays."""
    return np.asarray(sum(costs))  # type: ignore[call-overload]


def memory(depth: np.ndarray, width: np.ndarray, *, rom: bool = False) -> np.ndarray:
    """Cost of a memory, float64 (n, len(KINDS)); nothing where the depth is 0."""
    all_sizes = depth * WIDE + width
    sizes = np.unique(all_sizes)
    costs = np.array([memory_cost(size // WIDE, size % WIDE, rom) for size in sizes.tolist()])
    return np.asarray(costs[np.searchsorted(sizes, all_sizes)])  # unique's own inverse sorts places, too: slower


@lru_cache(maxsize=1 << 17)
def memory_cost(depth: int, width: int, rom: bool) -> tuple[float, ...]:
    """Cost of one size of memory, in the order of KINDS."""
    if not depth:
        return (0.0,) * len(KINDS)
    used = Memory(name="memory", depth=depth, width=width, read_only=rom).resources
    return tuple(vector(used).tolist())


def port_cost(*, maps: bool, weights: bool) -> np.ndarray:
    """AXI masters: two that read and write maps, one that reads weights."""
    return vector(PORT) * (4 * maps + weights)
