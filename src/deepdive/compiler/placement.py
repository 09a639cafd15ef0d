"""Where the weights of dense stages lie: in block RAM, in LUTs, or in external memory.

A folding puts all of them in block RAM (the shallow ones in LUTs). When that passes the limit, weights move out, those
first that free most: to external memory per port, to LUTs per LUT.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from deepdive.compiler.budget import KINDS
from deepdive.compiler.options import cost
from deepdive.compiler.plan import DENSE, Operation
from deepdive.compiler.search import NO_ROOM, Choice, Folding
from deepdive.hardware.stages import Dense

BRAM, LUT, PORTS, BYTES = (KINDS.index(kind) for kind in ("bram36", "lut", "ports", "bytes"))
LIGHT = 0.1
"""Share of the LUTs that weights may take before external memory is considered."""


@dataclass(frozen=True)
class Move:
    """One stage's weights to another place: what changes, in the order of KINDS."""

    position: int
    weights: str
    change: np.ndarray


def place(folding: Folding, operations: Sequence[Operation], limit: np.ndarray, port_bits: int) -> Folding:
    """The folding with weights moved until block RAM fits; unchanged where nothing helps.

    Parameters
    ----------
    limit
        The most of each of KINDS, float64.
    port_bits
        Bits that a memory port brings a step: external weights need no more.
    """
    if folding.costs[BRAM] <= limit[BRAM]:
        return folding
    moves = list(possible(folding, operations, port_bits))
    external = sorted((m for m in moves if m.weights == "external"), key=lambda m: (m.change[BRAM], m.position))
    tries = [to_luts(folding.costs, moves, limit, LIGHT * limit[LUT])]
    chosen: list[Move] = []
    costs = folding.costs
    for move in external:
        after = costs + move.change
        if after[PORTS] <= limit[PORTS] and after[BYTES] <= limit[BYTES]:
            chosen, costs = [*chosen, move], after
            outside = {done.position for done in chosen}
            rest = [m for m in moves if m.position not in outside]
            tries.append([*chosen, *to_luts(costs, rest, limit, limit[LUT])])
    tries.append(to_luts(folding.costs, moves, limit, limit[LUT]))
    placed = [moved(folding, moves) for moves in tries]
    return next((found for found in placed if (found.costs <= limit).all()), placed[-1])


def possible(folding: Folding, operations: Sequence[Operation], port_bits: int) -> Sequence[Move]:
    """Every move that frees block RAM."""
    moves: list[Move] = []
    for position, (operation, how) in enumerate(zip(operations, folding.choices, strict=True)):
        if operation.kind not in DENSE:
            continue
        before = np.array(stage_cost(operation, how, "on_chip")[0])
        for weights in ("distributed", "external"):
            after, stage = stage_cost(operation, how, weights)
            change = np.array(after) - before
            if change[BRAM] < 0 and (weights != "external" or stage.weight_word_bits <= port_bits):
                moves.append(Move(position, weights, change))
    return moves


def stage_cost(operation: Operation, how: Choice, weights: str) -> tuple[list[float], Dense]:
    """Cost of a dense stage with its weights in a place, and the stage. The FIFO's room cancels out."""
    inputs = tuple(edge.stream(lanes) for edge, lanes in zip(operation.inputs, how.taken, strict=True))
    outputs = tuple(edge.stream(lanes) for edge, lanes in zip(operation.outputs, how.given, strict=True))
    folding = {**how.folding, "weights": weights}
    stage = operation.stage(inputs, outputs, folding)
    assert isinstance(stage, Dense)
    return cost(stage, operation, folding, NO_ROOM), stage


def to_luts(costs: np.ndarray, moves: Sequence[Move], limit: np.ndarray, allowed: float) -> list[Move]:
    """Weights to LUTs until block RAM fits, most block RAM for a LUT first, at most `allowed` LUTs in all."""
    chosen: list[Move] = []
    spent = 0.0
    candidates = [move for move in moves if move.weights == "distributed"]
    for move in sorted(candidates, key=lambda m: (m.change[BRAM] / m.change[LUT], m.position)):
        if costs[BRAM] <= limit[BRAM]:
            break
        if spent + move.change[LUT] <= allowed and costs[LUT] + move.change[LUT] <= limit[LUT]:
            chosen.append(move)
            costs = costs + move.change
            spent += move.change[LUT]
    return chosen


def moved(folding: Folding, moves: Sequence[Move]) -> Folding:
    """The folding after some moves."""
    choices = list(folding.choices)
    for move in moves:
        choices[move.position] = replace(
            choices[move.position], folding={**choices[move.position].folding, "weights": move.weights}
        )
    return Folding(tuple(choices), sum((move.change for move in moves), folding.costs))
