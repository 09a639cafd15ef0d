"""The foldings of a shared body that are worth a look, out of all that its parts' lanes allow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from deepdive.compiler.shared_cost import costs_of
from deepdive.compiler.shared_cycles import Foldings, Pointwises, joined, tap_steps, up
from deepdive.hardware.stages import SharedBlock
from deepdive.hardware.stages.arithmetic import fabric_multiplier_luts
from deepdive.hardware.stages.shared_block import SharedPointwise
from deepdive.hardware.stages.shared_chain import CODE_BITS, Common

LANES = (1, 2, 4, 8, 16, 32)
"""Where a part meets the maps' memory, whose words are powers of two."""
INNER = (1, 2, 3, 4, 6, 8, 9, 12, 16, 18, 20, 24, 32, 36, 40, 48, 64, 72, 80, 96)
"""Of channels between the pointwise layers."""
MOST_MIDDLE = 32
SKEW = 3
"""How many times more multipliers than in proportion to its work one pointwise part may have."""
STEP = 1.1
MANY, BEST = 256, 6
"""Of those with the same multipliers within a factor of `STEP` the foldings of fewest cycles are looked at; of those of
the same cycles the cheapest are kept."""


@dataclass(frozen=True)
class Room:
    """What the board allows, and its memory.

    Parameters
    ----------
    limits
        The most of each of KINDS: float64 (len(KINDS),).
    prices
        Different prices at which a folding may be the cheapest: float64 (rows, len(KINDS)).
    memory_lanes
        The most codes in a word of a memory port.
    dsp_bits
        Of the wider operand of a DSP.
    cascade
        DSPs sum their products.
    """

    limits: np.ndarray
    prices: np.ndarray
    memory_lanes: int
    dsp_bits: int
    cascade: bool


def worthwhile(blocks: Sequence[SharedBlock], shared: Common, room: Room) -> Foldings:
    """Foldings that compute blocks in few cycles for what they cost: all of them, or the first or the second half."""
    half = len(blocks) // 2
    while any(block.scale for block in blocks[half : half + 2]):
        half -= 1  # squeeze-excite is three blocks: what pools, what makes factors, what scales
    parts = [blocks[slice(*ends)] for ends in sorted({(0, len(blocks)), (0, half), (half, len(blocks))})]
    return joint([cheap(part, listed(part, blocks, shared, room), shared, room) for part in parts if part])


def cheap(blocks: Sequence[SharedBlock], every: Foldings, shared: Common, room: Room) -> Foldings:
    """Those that cost least at some of the prices, among those that compute all blocks in about as many cycles."""
    if not len(every):
        return every
    cycles = roughly(blocks, shared, every)
    rows = np.unique(np.concatenate([fewest(expense(every, shared, room, fabric=f), cycles) for f in (False, True)]))
    few, cycles = every.take(rows), cycles[rows]
    kept: set[int] = set()
    order = np.floor(np.log(cycles) / np.log(STEP)).astype(int)
    for costs in costs_of(blocks, few, shared):
        possible = (costs <= room.limits).all(axis=1)
        for row in room.prices:
            price = np.where(possible, costs @ row, np.inf)
            kept.update(least(order, price, BEST))
    return few.take(np.array(sorted(kept), dtype=np.intp))


def listed(blocks: Sequence[SharedBlock], every: Sequence[SharedBlock], shared: Common, room: Room) -> Foldings:
    """Every folding whose parts fit each other and are of sizes that fit their work.

    Some `blocks` count, out of `every` block that the body must be able to compute.
    """
    found = {role: list(layers(blocks, role)) or list(layers(every, role)) for role in ("expand", "project")}
    work = {role: sum(pixels * layer.weights for pixels, layer in some) for role, some in found.items()}
    middle = np.array([n for n in INNER if n <= MOST_MIDDLE])
    memory = np.array([n for n in LANES if 2 <= n <= room.memory_lanes])
    front = ends([layer.in_channels for _, layer in found["expand"]], LANES, INNER, middle)
    back = ends([layer.in_channels for _, layer in found["project"]], INNER, LANES, memory)
    many = front.part.multipliers
    sized = (many == 0) | ((many <= 256 * front.near) & (8 * front.near <= many))
    front = front.take(sized)
    good = np.ones((len(front.near), len(back.near)), dtype=bool)
    source = front.part.in_lanes if work["expand"] else front.near
    good &= joined(source[:, None], back.near[None, :])
    if work["project"]:
        good &= joined(back.part.in_lanes[None, :], front.near[:, None])
    if work["expand"] and work["project"]:
        ratio = front.part.multipliers[:, None] / back.part.multipliers[None, :] * (work["project"] / work["expand"])
        good &= (ratio <= SKEW) & (ratio >= 1 / SKEW)
    rows, columns = np.nonzero(good)
    all_of_them = Foldings(
        front.part.take(rows), front.near[rows], front.near[rows], back.part.take(columns), back.near[columns]
    )
    all_of_them = joint([replace(all_of_them, taps=np.full(len(rows), count)) for count in tap_counts(shared)])
    return all_of_them.take(np.flatnonzero(dsps(all_of_them, shared, fabric=True) <= room.limits[0]))


@dataclass(frozen=True)
class End:
    """Foldings of a pointwise part, and the lanes of what its output is repacked to: int64 (n,)."""

    part: Pointwises
    near: np.ndarray

    def take(self, rows: np.ndarray) -> End:
        """Some of them."""
        return End(self.part.take(rows), self.near[rows])


def ends(channels: Sequence[int], ins: Sequence[int], outs: Sequence[int], near: np.ndarray) -> End:
    """Every folding of a pointwise part for so many input channels, with as few requantizers as keep up.

    More of them take nothing off the cycles. Where no block has the part, only "none".
    """
    if not channels:
        none = np.zeros_like(near)
        return End(Pointwises(none, none, none), near)
    rows = []
    for a in ins:
        for b in outs:
            least_lanes = max(math.ceil(b / math.ceil(count / a)) for count in channels)
            fitting = [n for n in range(least_lanes, b + 1) if b % n == 0]
            for other in near.tolist():
                lanes = next((n for n in fitting if n % other == 0 or other % n == 0), None)
                if lanes:
                    rows.append((a, b, lanes, other))
    a, b, lanes, other = np.array(rows, dtype=np.int64).T
    return End(Pointwises(a, b, lanes), other)


def layers(blocks: Sequence[SharedBlock], role: str) -> Iterator[tuple[int, SharedPointwise]]:
    """Pixels and pointwise layer of the blocks that have one in a role."""
    for block in blocks:
        layer = getattr(block, role)
        if layer:
            height, width = (block.height, block.width) if role == "expand" else block.output[:2]
            yield height * width, layer


def tap_counts(shared: Common) -> list[int]:
    """Depthwise multipliers a lane: all taps of a filter, or a row of it."""
    return sorted({count for rows, columns in shared.kernels for count in (columns, rows * columns)}) or [1]


def dsps(foldings: Foldings, shared: Common, *, fabric: bool) -> np.ndarray:
    """DSPs: multipliers, two a DSP where pairs of weights fit, requantizers, and the residual add's."""
    found = foldings.middle_lanes * ((0 if fabric else foldings.taps) + 1) + 2 * foldings.memory_lanes
    for part, field in ((foldings.expand, shared.expand_field), (foldings.project, shared.project_field)):
        columns = -(-part.out_parallel // 2) if field else part.out_parallel
        found = found + part.in_lanes * columns + part.lanes
    return np.asarray(found)


def expense(foldings: Foldings, shared: Common, room: Room, *, fabric: bool) -> np.ndarray:
    """DSPs, and the LUTs of depthwise multipliers at as many of them as the board has for a DSP."""
    found = dsps(foldings, shared, fabric=fabric)
    if not fabric:
        return found
    luts = foldings.middle_lanes * foldings.taps * fabric_multiplier_luts(CODE_BITS, shared.depthwise_bits)
    return np.asarray(found + luts * (room.limits[0] / room.limits[1]))


def roughly(blocks: Sequence[SharedBlock], shared: Common, foldings: Foldings) -> np.ndarray:
    """Cycles a frame without filling and draining: of each block those of its slowest part."""
    total = np.zeros(len(foldings), dtype=np.int64)
    for block in blocks:
        inner, outer = up(block.middle, foldings.inner), up(block.channels, foldings.outer)
        pixels, (height, width, given) = block.height * block.width, block.output
        groups = inner // foldings.middle_lanes
        slowest = pixels * np.maximum(outer // foldings.memory_lanes, groups)
        if block.depthwise:
            turns = tap_steps(block, shared, foldings.taps)
            slowest = np.maximum(slowest, groups * (pixels + height * width * (turns - 1)))
        if block.expand:
            part = foldings.expand
            slowest = np.maximum(slowest, pixels * (outer // part.in_lanes) * (inner // part.out_parallel))
        if block.project:
            part = foldings.project
            steps = (inner // part.in_lanes) * (up(given, foldings.outer) // part.out_parallel)
            slowest = np.maximum(slowest, height * width * steps)
        total += slowest
    return total


def fewest(expense: np.ndarray, cycles: np.ndarray) -> np.ndarray:
    """Positions of the foldings of fewest cycles among those of about the same expense."""
    return np.array(list(least(np.floor(np.log(np.maximum(expense, 1)) / np.log(STEP)), cycles, MANY)), dtype=np.intp)


def least(bins: np.ndarray, values: np.ndarray, count: int) -> list[int]:
    """Positions of the `count` least finite values of every bin."""
    order = np.lexsort((values, bins))
    order = order[np.isfinite(values[order])]
    bins = bins[order]
    places = np.arange(len(bins)) - np.searchsorted(bins, bins)  # among those of the same bin
    return order[places < count].tolist()


def joint(lists: Sequence[Foldings]) -> Foldings:
    """All foldings of some lists, each once."""
    columns = np.concatenate([one.columns for one in lists], axis=1)
    ranks = [np.unique(column, return_inverse=True) for column in columns]
    keys = np.zeros(columns.shape[1], dtype=np.int64)  # NumPy compares whole columns byte by byte, which takes long
    for values, rank in ranks:
        keys = keys * len(values) + rank
    return Foldings.of(columns[:, np.unique(keys, return_index=True)[1]])
