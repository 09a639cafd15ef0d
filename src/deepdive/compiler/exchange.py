"""Mending a folding that passes a limit by little: single stages change theirs, the lanes between them stay.

Prices find only the corners of the costs' convex hull. In between lie foldings that have, say, the multipliers of a few
more stages in LUTs; they differ from a corner in stages that can be exchanged one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from deepdive.compiler.search import Folding, Question, Search

MOST_CHANGES = 40
"""Stages exchanged at the most."""


@dataclass(frozen=True)
class Alternatives:
    """Every other folding of every stage between the lanes that it has: which stage, which option, what changes."""

    positions: np.ndarray
    rows: np.ndarray
    changes: np.ndarray  # float64 (n, len(KINDS))


def exchanged(search: Search, question: Question, folding: Folding, limit: np.ndarray) -> Folding:
    """The folding with stages exchanged until nothing passes its limit, or until no exchange brings that nearer.

    Parameters
    ----------
    folding
        Of `question`.
    limit
        The most of each of KINDS, float64; infinite for what does not count.
    """
    for _ in range(MOST_CHANGES):
        short = shortage(folding.costs, limit)
        if short == 0:
            return folding
        found = alternatives(search, question, folding)
        after = shortage(folding.costs + found.changes, limit)
        if not len(after) or after.min() >= short - 1e-9:
            return folding
        best = np.flatnonzero(after <= after.min() + 1e-9)
        # Of those that end with equally much too much, the one that is cheapest in all.
        at = best[(found.changes[best] / limit).sum(axis=1).argmin()]
        position = int(found.positions[at])
        options = search.found(position, question)
        choices = list(folding.choices)
        choices[position] = replace(choices[position], folding=options.foldings[found.rows[at]])
        folding = Folding(tuple(choices), folding.costs + found.changes[at])
    return folding


def shortage(costs: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """By how much costs (..., len(KINDS)) pass the limits, in shares of them, added up."""
    return np.maximum(costs / limit - 1, 0).sum(axis=-1)


def alternatives(search: Search, question: Question, folding: Folding) -> Alternatives:
    """Of the stages between one edge and another."""
    positions, rows, changes = [], [], []
    for position, (operation, choice) in enumerate(zip(search.operations, folding.choices, strict=True)):
        if len(operation.inputs) != 1 or len(operation.outputs) != 1:
            continue
        found = search.found(position, question)
        way_in = operation.inputs[0].ways.index(choice.taken[0])
        way_out = operation.outputs[0].ways.index(choice.given[0])
        same = (found.ways_in == way_in) & (found.ways_out == way_out) & (found.intervals <= question.interval)
        able = np.flatnonzero(same)
        now = [row for row in able if found.foldings[row] == choice.folding]
        if len(able) > 1 and now:
            others = able[able != now[0]]
            positions.append(np.full(len(others), position))
            rows.append(others)
            changes.append(found.costs[others] - found.costs[now[0]])
    if not positions:
        return Alternatives(np.empty(0, dtype=int), np.empty(0, dtype=int), np.empty((0, len(folding.costs))))
    return Alternatives(np.concatenate(positions), np.concatenate(rows), np.concatenate(changes))
