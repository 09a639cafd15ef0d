"""Channels that are added to a map whose own number few lanes divide: 47 channels travel as 48.

Added channels have weights of zero on both sides, so nobody reads what they hold. Only the stages that mix channels -
dense ones - can tell a map's from those added; between them all edges have the same channels, and are padded alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from deepdive.compiler.plan import DENSE, Edge, Operation, UnitPlan, lanes_of

STEPS = (2, 4, 8, 16)
"""Numbers of channels to whose next multiple a map may be padded."""
MOST = 8
"""At most one channel in so many is added, unless it is a single one."""
CHOICES = 2
"""How many paddings of a map are looked at, beside none."""


def padded(plans: Sequence[UnitPlan]) -> tuple[UnitPlan, ...]:
    """The plans, every edge that may be padded with its `paddings`."""
    operations = [operation for plan in plans for operation in plan.operations]
    found = {name: paddings(edges[0].channels) for edges in alike(operations) for name in (e.name for e in edges)}

    def widen(edges: tuple[Edge, ...]) -> tuple[Edge, ...]:
        return tuple(replace(edge, paddings=found.get(edge.name, (0,))) for edge in edges)

    return tuple(
        replace(
            plan,
            operations=tuple(
                replace(operation, inputs=widen(operation.inputs), outputs=widen(operation.outputs))
                for operation in plan.operations
            ),
        )
        for plan in plans
    )


def paddings(channels: int) -> tuple[int, ...]:
    """What may be added to so many channels: nothing, or what gives more divisors; those with most of them."""
    wider = {-(-channels // step) * step for step in STEPS}
    small = [count for count in wider if (count - channels) * MOST <= max(channels, MOST)]
    better = [count for count in small if len(lanes_of(count)) > len(lanes_of(channels))]
    best = sorted(better, key=lambda count: (-len(lanes_of(count)), count))[:CHOICES]
    return (0, *sorted(count - channels for count in best))


def alike(operations: Sequence[Operation]) -> Iterator[list[Edge]]:
    """Edges between dense stages, each group with the same channels: they are padded together or not at all.

    Left out are groups with an end of the network, which a host sees; with a shared body, which has a padding of its
    own; and those where channels meet others: in a concatenation, or in a map that is flattened.
    """
    leader: dict[str, str] = {}
    members: dict[str, list[Edge]] = {}

    def join(edges: Sequence[Edge]) -> None:
        for edge in edges:
            if edge.name not in leader:
                leader[edge.name], members[edge.name] = edge.name, [edge]
        first = leader[edges[0].name]
        for edge in edges[1:]:
            other = leader[edge.name]
            if other != first:
                for moved in members[other]:
                    leader[moved.name] = first
                members[first] += members.pop(other)

    fixed = [operations[0].inputs[0], *operations[-1].outputs]
    for operation in operations:
        edges = (*operation.inputs, *operation.outputs)
        if operation.kind in DENSE or operation.kind in ("shared_body", "concat") or flattens(operation):
            for edge in edges:
                join([edge])
            fixed += () if operation.kind in DENSE else edges
        else:
            join(edges)
    for edge in fixed:
        members.pop(leader[edge.name], None)
    yield from members.values()


def flattens(operation: Operation) -> bool:
    """Whether pixels become channels."""
    source = operation.inputs[0]
    return operation.kind == "flatten" and (source.height, source.width) != (1, 1)
