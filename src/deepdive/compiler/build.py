"""From plans and a folding to units: repacks inserted, FIFO depths computed, stages made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from deepdive.compiler.fifos import Room, bursts, input_depth, rooms
from deepdive.compiler.plan import JOINS, Operation, UnitPlan, Way, renamed
from deepdive.compiler.search import NO_ROOM, Choice
from deepdive.hardware.stages import AnyStage
from deepdive.hardware.stream import Stream
from deepdive.hardware.units import Unit


def build_units(plans: Sequence[UnitPlan], choices: Iterable[Choice]) -> tuple[Unit, ...]:
    """The units of a folding; `choices` has one entry for each operation of all plans, in order."""
    choice = iter(choices)
    folded = {plan.name: list(with_repacks(plan, choice)) for plan in plans}
    streams = all_streams([pair for pairs in folded.values() for pair in pairs])
    return tuple(
        Unit(
            name=plan.name,
            kind=plan.kind,
            input_map=plan.input_map,
            blocks=plan.blocks,
            stages=tuple(stage(operation, how, streams) for operation, how in folded[plan.name]),
        )
        for plan in plans
    )


def skip_rooms(plans: Sequence[UnitPlan], choices: Iterable[Choice]) -> dict[str, Room]:
    """Room in front of the joins of a folding, by the plans' names of the edges, whatever repack stands between."""
    choice = iter(choices)
    folded = [pair for plan in plans for pair in with_repacks(plan, choice)]
    wanted = wanted_rooms(folded, all_ways(folded))
    planned = [operation for plan in plans for operation in plan.operations if operation.kind in JOINS]
    joins = [operation for operation, _ in folded if operation.kind in JOINS]
    return {
        before.name: wanted[after.name]
        for plain, final in zip(planned, joins, strict=True)
        for before, after in zip(plain.inputs, final.inputs, strict=True)
        if after.name in wanted
    }


def with_repacks(plan: UnitPlan, choices: Iterable[Choice]) -> Iterable[tuple[Operation, Choice]]:
    """The plan's operations and their foldings, with a repack wherever lanes change."""
    count = 0
    for planned in plan.operations:
        operation, how = with_pairs(planned, next(iter(choices)))
        inputs = list(operation.inputs)
        for position, edge in enumerate(operation.inputs):
            before, after = how.arriving[position], how.taken[position]
            if before == after:
                continue
            count += 1
            name = f"{plan.name}_repack{count if count > 1 else ''}"
            inputs[position] = renamed(edge, f"{name}_out")
            yield (
                Operation("repack", name, (edge,), (inputs[position],)),
                Choice((before,), (before,), (after,), {}),
            )
        yield replace(operation, inputs=tuple(inputs)), how


def with_pairs(operation: Operation, how: Choice) -> tuple[Operation, Choice]:
    """The operation and its folding as they are once it is settled how many pixels a window holds."""
    if all(way.pixels == 1 for way in (*how.taken, *how.given)):
        return operation, how
    inputs = [edge.of_pixels(way.pixels) for edge, way in zip(operation.inputs, how.taken, strict=True)]
    outputs = [edge.of_pixels(way.pixels) for edge, way in zip(operation.outputs, how.given, strict=True)]
    fields = {**operation.fields, **how.folding}
    settled = replace(operation, inputs=tuple(inputs), outputs=tuple(outputs), fields=fields)
    arriving, taken, given = (tuple(way.one_pixel for way in ways) for ways in (how.arriving, how.taken, how.given))
    return settled, Choice(arriving, taken, given, how.folding)


def all_ways(folded: Sequence[tuple[Operation, Choice]]) -> dict[str, Way]:
    """The way of every stream by name."""
    ways: dict[str, Way] = {}
    for operation, how in folded:
        ways.update({edge.name: way for edge, way in zip(operation.inputs, how.taken, strict=True)})
        ways.update({edge.name: way for edge, way in zip(operation.outputs, how.given, strict=True)})
    return ways


def wanted_rooms(folded: Sequence[tuple[Operation, Choice]], ways: dict[str, Way]) -> dict[str, Room]:
    """What the FIFOs must hold."""
    return rooms([operation for operation, _ in folded], lambda edge: edge.groups(ways[edge.name]))


def all_streams(folded: Sequence[tuple[Operation, Choice]]) -> dict[str, Stream]:
    """Every stream by name, with its way and the depth that its reader asks for."""
    ways = all_ways(folded)
    wanted = wanted_rooms(folded, ways)
    parallel = {
        operation.name: how.folding["out_parallel"] // how.given[0].lanes
        for operation, how in folded
        if "out_parallel" in how.folding
    }
    rows = bursts([operation for operation, _ in folded], lambda edge: edge.groups(ways[edge.name]), parallel)
    streams: dict[str, Stream] = {}
    for operation, how in folded:
        for edge in operation.inputs:
            way = ways[edge.name]
            depth = input_depth(edge, edge.groups(way), wanted.get(edge.name, NO_ROOM), operation, how.folding)
            streams[edge.name] = edge.stream(way, depth + rows.get(edge.name, 0))
        for edge in operation.outputs:
            streams.setdefault(edge.name, edge.stream(ways[edge.name]))
    return streams


def stage(operation: Operation, how: Choice, streams: dict[str, Stream]) -> AnyStage:
    """One stage at its folding."""
    inputs = tuple(streams[edge.name] for edge in operation.inputs)
    return operation.stage(inputs, tuple(streams[edge.name] for edge in operation.outputs), how.folding)
