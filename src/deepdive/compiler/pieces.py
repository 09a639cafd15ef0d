"""Plans cut into pieces that are shared or streamed each on its own, and put together again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from deepdive.compiler.plan import Operation, UnitPlan
from deepdive.compiler.shared import shareable


@dataclass(frozen=True)
class Piece:
    """A part of a plan, or all of it.

    Parameters
    ----------
    whole
        Whether it is all of the plan.
    shareable
        Whether a shared body can compute it.
    """

    plan: UnitPlan
    origin: int
    whole: bool
    shareable: bool


def pieces(plans: Sequence[UnitPlan]) -> tuple[Piece, ...]:
    """All plans; those of the network's head and tail as their own layers and those that a shared body can compute."""
    found: list[Piece] = []
    for origin, plan in enumerate(plans):
        parts = [plan] if shareable(plan) or plan.kind not in ("head", "tail") else list(parts_of(plan))
        found += [Piece(part, origin, len(parts) == 1, shareable(part)) for part in parts]
    return tuple(found)


def parts_of(plan: UnitPlan) -> Iterator[UnitPlan]:
    """A plan's longest runs of operations that are shareable, and what is between them."""
    runs: list[tuple[bool, list[Operation]]] = []
    for chain in chains(plan.operations):
        able = shareable(replace(plan, operations=tuple(chain)))
        if runs and runs[-1][0] == able:
            runs[-1][1].extend(chain)
        else:
            runs.append((able, list(chain)))
    input_map = plan.input_map
    for _, operations in runs:
        blocks = tuple(operation.fields["node"] for operation in operations if "node" in operation.fields)
        yield replace(plan, input_map=input_map, blocks=blocks, operations=tuple(operations))
        input_map = blocks[-1]


def chains(operations: Sequence[Operation]) -> Iterator[tuple[Operation, ...]]:
    """Cut behind every operation that computes a node and leaves a single edge alive, and behind its table."""
    alive = 1
    start = 0
    for index, operation in enumerate(operations):
        alive += len(operation.outputs) - len(operation.inputs)
        ends = index + 1 == len(operations) or operations[index + 1].kind != "table"
        if alive == 1 and ends and "node" in operation.fields:
            yield tuple(operations[start : index + 1])
            start = index + 1


def streamed(parts: Sequence[Piece]) -> Iterator[UnitPlan]:
    """The plans of consecutive pieces that stay streamed: parts of one plan together again."""
    group: list[Piece] = []
    for part in (*parts, None):
        if group and (part is None or part.origin != group[0].origin):
            first = group[0].plan
            yield replace(
                first,
                blocks=tuple(block for piece in group for block in piece.plan.blocks),
                operations=tuple(operation for piece in group for operation in piece.plan.operations),
            )
            group = []
        if part is not None:
            group.append(part)
