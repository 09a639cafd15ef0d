"""Which weights lie in LUTs instead of block RAM.

A folding puts the weights of dense stages in block RAM, but for the shallow ones. When that passes the limit, weights
move to LUTs, those first that free most block RAM for a LUT.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from deepdive.compiler.budget import KINDS
from deepdive.compiler.options import cost
from deepdive.compiler.plan import DENSE, Operation
from deepdive.compiler.search import NO_ROOM, Choice, Folding

BRAM, LUT = KINDS.index("bram36"), KINDS.index("lut")


@dataclass(frozen=True)
class Move:
    """One stage's weights to LUTs: what changes, in the order of KINDS."""

    position: int
    change: np.ndarray


def place(folding: Folding, operations: Sequence[Operation], limit: np.ndarray, allowed: float) -> Folding:
    """The folding with weights moved to LUTs until block RAM fits, or until no more LUTs may be taken.

    Parameters
    ----------
    limit
        The most of each of KINDS, float64.
    allowed
        The most LUTs that weights may take.
    """
    choices, costs = list(folding.choices), folding.costs
    if costs[BRAM] <= limit[BRAM]:
        return folding
    moves = sorted(possible(folding, operations), key=lambda m: (m.change[BRAM] / m.change[LUT], m.position))
    for move in moves:
        if costs[BRAM] <= limit[BRAM]:
            break
        if move.change[LUT] <= allowed and costs[LUT] + move.change[LUT] <= limit[LUT]:
            how = choices[move.position]
            choices[move.position] = replace(how, folding={**how.folding, "weights": "distributed"})
            costs = costs + move.change
            allowed -= move.change[LUT]
    return Folding(tuple(choices), costs)


def possible(folding: Folding, operations: Sequence[Operation]) -> Iterator[Move]:
    """Every move that frees block RAM."""
    for position, (operation, how) in enumerate(zip(operations, folding.choices, strict=True)):
        if operation.kind in DENSE and "weights" not in how.folding:
            change = stage_cost(operation, how, "distributed") - stage_cost(operation, how, "on_chip")
            if change[BRAM] < 0:
                yield Move(position, change)


def stage_cost(operation: Operation, how: Choice, weights: str) -> np.ndarray:
    """Cost of a dense stage with its weights in a place, but for the room in its FIFO, which stays the same."""
    inputs = tuple(edge.stream(way) for edge, way in zip(operation.inputs, how.taken, strict=True))
    outputs = tuple(edge.stream(way) for edge, way in zip(operation.outputs, how.given, strict=True))
    folding = {**how.folding, "weights": weights}
    return np.array(cost(operation.stage(inputs, outputs, folding), operation, folding, NO_ROOM))
