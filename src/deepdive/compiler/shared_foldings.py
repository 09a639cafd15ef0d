"""The foldings of a shared body that are worth a look, out of all that its parts' lanes allow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from deepdive.compiler.shared_cycles import Foldings, Pointwises, up
from deepdive.hardware.stages import SharedBlock
from deepdive.hardware.stages.shared_block import SharedPointwise
from deepdive.hardware.stages.shared_chain import Common

LANES = (1, 2, 4, 8, 16, 32)
"""Where a part meets the maps' memory, whose words are powers of two."""
INNER = (1, 2, 3, 4, 6, 8, 9, 12, 16, 18, 20, 24, 32, 36, 40, 48, 64, 72, 80, 96)
"""Of channels between the pointwise layers."""
MOST_MIDDLE = 32
SKEW = 3
"""How many times more multipliers than in proportion to its work one pointwise part may have."""
TURNS = 8
"""Outputs of a pointwise part that one requantizer serves at most."""
STEP = 1.1
BEST = 16
"""How many foldings are kept of those with the same DSPs within a factor of `STEP`: those of fewest cycles."""


@dataclass(frozen=True)
class Room:
    """What the board allows, and its memory.

    Parameters
    ----------
    dsp
        The most of them.
    memory_lanes
        The most codes in a word of a memory port.
    dsp_bits
        Of the wider operand of a DSP.
    """

    dsp: float
    memory_lanes: int
    dsp_bits: int


def worthwhile(blocks: Sequence[SharedBlock], shared: Common, room: Room) -> Foldings:
    """Foldings that compute blocks in few cycles for their DSPs: all of them, or the first or the second half."""
    every = listed(blocks, shared, room)
    half = len(blocks) // 2
    kept: set[int] = set()
    for part in {(0, len(blocks)), (0, half), (half, len(blocks))}:
        chosen = blocks[slice(*part)]
        if chosen:
            cycles = roughly(chosen, every)
            for fabric in (False, True):
                kept.update(fewest(dsps(every, shared, fabric=fabric), cycles, room.dsp))
    return every.take(np.array(sorted(kept), dtype=np.intp))


def listed(blocks: Sequence[SharedBlock], shared: Common, room: Room) -> Foldings:
    """Every folding whose parts fit each other and are of sizes that fit their work."""
    work = {
        role: sum(pixels * layer.weights for pixels, layer in layers(blocks, role)) for role in ("expand", "project")
    }
    expand = pointwises(work["expand"], LANES, INNER)
    project = pointwises(work["project"], INNER, LANES)
    middle = np.array([n for n in INNER if n <= MOST_MIDDLE])
    memory = np.array([n for n in LANES if 2 <= n <= room.memory_lanes])
    e, m, p, w = (np.arange(len(axis)) for axis in (expand.lanes, middle, project.lanes, memory))
    first = joined(expand.lanes[e][:, None], middle[m][None, :]) if work["expand"] else np.ones((len(e), len(m)), bool)
    e, m = (axis[first] for axis in np.broadcast_arrays(e[:, None], m[None, :]))
    many = expand.multipliers[e]
    sized = (many == 0) | ((many <= 256 * middle[m]) & (8 * middle[m] <= many))
    e, m = e[sized], m[sized]
    last = joined(project.lanes[p][:, None], memory[w][None, :]) if work["project"] else np.ones((len(p), len(w)), bool)
    p, w = (axis[last] for axis in np.broadcast_arrays(p[:, None], w[None, :]))
    good = np.ones((len(e), len(p)), dtype=bool)
    if work["expand"]:
        good &= joined(expand.in_lanes[e][:, None], memory[w][None, :])
    else:
        good &= joined(middle[m][:, None], memory[w][None, :])
    if work["project"]:
        good &= joined(project.in_lanes[p][None, :], middle[m][:, None])
    if work["expand"] and work["project"]:
        ratio = expand.multipliers[e][:, None] / project.multipliers[p][None, :] * (work["project"] / work["expand"])
        good &= (ratio <= SKEW) & (ratio >= 1 / SKEW)
    rows, columns = np.nonzero(good)
    found = Foldings(expand.take(e[rows]), middle[m[rows]], project.take(p[columns]), memory[w[columns]])
    return found.take(np.flatnonzero(dsps(found, shared, fabric=True) <= room.dsp))


def layers(blocks: Sequence[SharedBlock], role: str) -> Iterator[tuple[int, SharedPointwise]]:
    """Pixels and pointwise layer of the blocks that have one in a role."""
    for block in blocks:
        layer = getattr(block, role)
        if layer:
            height, width = (block.height, block.width) if role == "expand" else block.output[:2]
            yield height * width, layer


def pointwises(work: int, ins: Sequence[int], outs: Sequence[int]) -> Pointwises:
    """All foldings of a pointwise part; only "none" when there is no work for it."""
    rows = [
        (a, b, lanes) for a in ins for b in outs for lanes in range(1, b + 1) if b % lanes == 0 and b <= TURNS * lanes
    ]
    return Pointwises(*np.array(rows if work else [(0, 0, 0)], dtype=np.int64).T)


def joined(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where one number of lanes divides the other."""
    return np.asarray((a % b == 0) | (b % a == 0))


def dsps(foldings: Foldings, shared: Common, *, fabric: bool) -> np.ndarray:
    """DSPs: multipliers, two a DSP where pairs of weights fit, requantizers, and the residual add's."""
    depthwise = 0 if fabric else shared.kernel[0] * shared.kernel[1]
    found = foldings.middle_lanes * (depthwise + 1) + 2 * foldings.memory_lanes
    for part, field in ((foldings.expand, shared.expand_field), (foldings.project, shared.project_field)):
        columns = -(-part.out_parallel // 2) if field else part.out_parallel
        found = found + part.in_lanes * columns + part.lanes
    return np.asarray(found)


def roughly(blocks: Sequence[SharedBlock], foldings: Foldings) -> np.ndarray:
    """Cycles a frame without filling and draining: of each block those of its slowest part."""
    total = np.zeros(len(foldings), dtype=np.int64)
    for block in blocks:
        inner, outer = up(block.middle, foldings.inner), up(block.channels, foldings.outer)
        height, width, given = block.output
        slowest = (
            block.height * block.width * np.maximum(outer // foldings.memory_lanes, inner // foldings.middle_lanes)
        )
        if block.expand and foldings.expand.in_lanes.all():
            part = foldings.expand
            slowest = np.maximum(
                slowest, block.height * block.width * (outer // part.in_lanes) * (inner // part.out_parallel)
            )
            follows = outer // part.in_lanes * part.lanes >= part.out_parallel
            slowest = np.where(follows, slowest, 1 << 50)
        if block.project:
            part = foldings.project
            steps = (inner // part.in_lanes) * (up(given, foldings.outer) // part.out_parallel)
            slowest = np.maximum(slowest, height * width * steps)
        total += slowest
    return total


def fewest(dsp: np.ndarray, cycles: np.ndarray, most: float) -> list[int]:
    """Positions of the foldings of fewest cycles among those of about as many DSPs."""
    usable = np.flatnonzero((dsp <= most) & (cycles < 1 << 50))
    bins = np.floor(np.log(np.maximum(dsp[usable], 1)) / np.log(STEP)).astype(int)
    order = usable[np.lexsort((dsp[usable], cycles[usable], bins))]
    bins = np.sort(bins)
    places = np.arange(len(bins)) - np.searchsorted(bins, bins)  # among those of the same bin
    return [int(row) for row in order[places < BEST]]
