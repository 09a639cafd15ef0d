"""Every folding that an operation can take, with its cycles and its cost, as arrays that a search can filter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from deepdive.compiler.budget import KINDS
from deepdive.compiler.fifos import Room, input_depth
from deepdive.compiler.plan import DENSE, JOINS, Edge, Operation, Way, lanes_of
from deepdive.hardware.resources import Resources
from deepdive.hardware.stages import Dense, Stage
from deepdive.hardware.stages.arithmetic import pair_field, pixel_field
from deepdive.hardware.stream import Stream

MAX_BEAT_BITS = 4096
"""Wider words are refused by Vitis HLS (AP_INT_MAX_W)."""

NO_FOLDING: Mapping[str, Any] = {}
FABRIC: Mapping[str, Any] = {"fabric": True}
LIGHT_PAIR_BITS = 4
"""Pairs of weights of so many bits always share DSPs, at some 12 LUTs a DSP saved; wider ones may not."""
MOST_FABRIC_BITS = 4
"""Dense layers of wider weights are not multiplied in LUTs: 8 x 8 bits take 100, as many as a board has a DSP."""


@dataclass(frozen=True)
class Options:
    """Foldings of one operation between one input and one output edge, or along all edges at once (fork, add).

    Parameters
    ----------
    ways_in, ways_out
        Index of the way among the edge's ways, int (n,).
    intervals
        Clock cycles a frame, int64 (n,); times `hurry` when the operation is in one.
    costs
        float64 (n, len(KINDS)): the stage and the FIFO in front of it.
    foldings
        What the stage's other fields must be.
    """

    ways_in: np.ndarray
    ways_out: np.ndarray
    intervals: np.ndarray
    costs: np.ndarray
    foldings: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Limits:
    """Which foldings are worth a look.

    `fastest` and `slowest` bound the frame interval that the search will ask for; a stage more than twice as fast as
    needed is listed only when there is nothing slower between the same lanes. `port_bits` is what a memory port brings
    a cycle: external weights of a step are no wider. `dsp_bits` is the wider operand of the board's DSPs.
    """

    fastest: int
    slowest: int
    port_bits: int
    dsp_bits: int


class Measured(NamedTuple):
    """What a search needs to know of a stage: its cycles a frame, its cost in the order of KINDS, and the bits of
    weights that it takes from memory a step."""

    interval: int
    cost: list[float]
    word_bits: int


class Known:
    """The foldings of one operation that were measured before; its other edges and fields are the same for all."""

    def __init__(self, operation: Operation, room: Room) -> None:
        self.operation, self.room = operation, room
        self.found: dict[object, Measured] = {}

    def at(self, way_in: Way, way_out: Way, folding: Mapping[str, Any]) -> Measured:
        """The stage at a folding, made when it is first asked for."""
        key = way_in, way_out, tuple(folding.items())
        if key not in self.found:
            inputs = tuple(edge.stream(way_in) for edge in self.operation.inputs)
            outputs = tuple(edge.stream(way_out) for edge in self.operation.outputs)
            self.found[key] = self.measured(self.operation.stage(inputs, outputs, folding), folding)
        return self.found[key]

    def measured(self, stage: Stage, folding: Mapping[str, Any]) -> Measured:
        """A finished stage."""
        word_bits = stage.weight_word_bits if isinstance(stage, Dense) else 0
        interval = self.operation.hurry * stage.interval_cycles
        return Measured(interval, cost(stage, self.operation, folding, self.room), word_bits)


class Catalogue:
    """What is known of foldings, for all searches on one board: segmentations and limits differ, stages do not."""

    def __init__(self) -> None:
        self._known: dict[object, Known] = {}

    def of(self, operation: Operation, room: Room) -> Known:
        """The foldings of an operation whose first FIFO must hold `room` early; of one with choices its own."""
        if operation.choices:
            return Known(operation, room)
        edges = tuple(replace(edge, name="", paddings=(0,)).shape for edge in (*operation.inputs, *operation.outputs))
        key = operation.shape[0], edges, operation.shape[2:], room
        if key not in self._known:
            self._known[key] = Known(operation, room)
        return self._known[key]


def options(operation: Operation, limits: Limits, known: Known, *, external: bool = False) -> Options:
    """All foldings of `operation` within the limits.

    Parameters
    ----------
    known
        What the catalogue has of it.
    external
        With the weights of a dense stage in external memory.
    """
    rows = list(candidates(operation, limits, known, external))
    return Options(
        ways_in=np.array([row[0] for row in rows], dtype=np.intp),
        ways_out=np.array([row[1] for row in rows], dtype=np.intp),
        intervals=np.array([row[3].interval for row in rows], dtype=np.int64),
        costs=np.array([row[3].cost for row in rows], dtype=np.float64).reshape(len(rows), len(KINDS)),
        foldings=tuple(row[2] for row in rows),
    )


def cost(stage: Stage, operation: Operation, folding: Mapping[str, Any], room: Room) -> list[float]:
    """One value for each of KINDS: a stage and the FIFO in front of it; a join's FIFOs are priced by `fifo_costs`."""
    used = stage.resources()
    if operation.kind not in JOINS:
        source = stage.inputs[0]
        depth = input_depth(operation.inputs[0], source.groups, room, operation, folding)
        used += source.model_copy(update={"depth": depth}).resources
    return vector(used, stage.external_bytes)


def fifo_costs(edge: Edge, room: Room, reader: Operation) -> np.ndarray:
    """Cost of the FIFO in front of a join for every way of the edge: float64 (ways, len(KINDS))."""
    streams = [edge.stream(way) for way in edge.ways]
    depths = [input_depth(edge, stream.groups, room, reader, NO_FOLDING) for stream in streams]
    deep = [stream.model_copy(update={"depth": depth}) for stream, depth in zip(streams, depths, strict=True)]
    return np.array([vector(stream.resources) for stream in deep], dtype=np.float64)


def vector(used: Resources, external_bytes: int = 0) -> list[float]:
    """Costs in the order of KINDS."""
    return [used.dsp, used.lut, used.ff, used.bram36, float(external_bytes > 0), external_bytes]


def usable_ways(edge: Edge, limits: Limits) -> Iterator[tuple[int, Way]]:
    """(index, way) of beats that are neither too wide, nor too many for the slowest interval, nor far too few."""
    for index, way in enumerate(edge.ways):
        beats = edge.height * edge.width * edge.groups(way)
        narrow = way.lanes * edge.of_pixels(way.pixels).taps * edge.bits <= MAX_BEAT_BITS
        if narrow and beats <= limits.slowest and (way.lanes <= 16 or 64 * beats >= limits.fastest):
            yield index, way


def candidates(
    operation: Operation, limits: Limits, known: Known, external: bool
) -> Iterator[tuple[int, int, Mapping[str, Any], Measured]]:
    """(way in, way out, folding, its measures) of every folding within the limits."""
    source, target = operation.inputs[0], operation.outputs[0]
    for stage in operation.choices:
        if stage.interval_cycles <= limits.slowest:
            ends = Way(stage.inputs[0].lanes), Way(stage.outputs[0].lanes)
            folding = finished(stage)
            measured = known.measured(stage, folding)
            yield source.ways.index(ends[0]), target.ways.index(ends[1]), folding, measured
    if operation.choices:
        return
    sources, targets = list(usable_ways(source, limits)), list(usable_ways(target, limits))
    if operation.kind in DENSE:
        for read, written in product(sources, targets):
            yield from dense_candidates(operation, limits, known, (read, written), external)
        return
    alike = operation.kind != "repack"
    columns = operation.fields.get("columns", 1)
    for (i, way_in), (o, way_out) in product(sources, targets):
        if columns > 1:
            if (way_in.lanes, way_out.lanes) != (source.channels, target.channels):
                continue
        elif (way_in.one_pixel == way_out.one_pixel) != alike or not repackable(way_in, way_out):
            continue
        if any(way_in not in edge.ways for edge in operation.inputs):
            continue
        pairs = pair_folding(operation, way_in, way_out, limits.dsp_bits)
        if pairs is None:
            continue
        measured = known.at(way_in, way_out, pairs)
        if measured.interval <= limits.slowest:
            yield i, o, pairs, measured
            if operation.kind == "depthwise" and not pairs:
                yield i, o, FABRIC, known.at(way_in, way_out, FABRIC)


def pair_folding(operation: Operation, way_in: Way, way_out: Way, dsp_bits: int) -> Mapping[str, Any] | None:
    """What pairs of pixels ask of the window that makes them, or of the depthwise stage that takes them.

    None where their codes and the weights do not fit a DSP.
    """
    made, taken = (edge.pixel_pair for edge in (operation.outputs[0], operation.inputs[0]))
    if way_out.pixels > 1 and made:
        stride = operation.fields["stride"]
        return {"kernel": made.window, "stride": (stride[0], way_out.pixels * stride[1])}
    if way_in.pixels > 1 and taken:
        field = pixel_field(operation.inputs[0].bits, operation.fields["weight_bits"], dsp_bits)
        return {"pixel_pair": taken, "pair_field": field} if field else None
    return NO_FOLDING


def repackable(before: Way, after: Way) -> bool:
    """Whether a repack leads from one way to the other, or none is needed."""
    whole = not (before.lanes % after.lanes and after.lanes % before.lanes)
    return whole and before.padding == after.padding


def finished(stage: Stage) -> Mapping[str, Any]:
    """The folding of a stage that was made before: all its fields but name, kind and streams."""
    return {name: value for name, value in stage if name not in ("kind", "name") and not isinstance(value, Stream)}


def dense_candidates(
    operation: Operation, limits: Limits, known: Known, ways: tuple[tuple[int, Way], tuple[int, Way]], external: bool
) -> Iterator[tuple[int, int, Mapping[str, Any], Measured]]:
    """Foldings of a dense stage between given ways: how many outputs at once, and whether two share a DSP."""
    (source,), (target,) = operation.inputs, operation.outputs
    (i, way_in), (o, way_out) = ways
    groups, channels = source.groups(way_in), target.channels + way_out.padding
    steps = target.height * target.width * groups * channels
    for parallel in lanes_of(channels):
        interval = operation.hurry * steps // parallel
        if parallel % way_out.lanes or parallel > groups * way_out.lanes or interval > limits.slowest:
            continue
        folding: dict[str, Any] = {"out_parallel": parallel, **({"weights": "external"} if external else {})}
        for pairing in pairings(operation.fields["weight_bits"], parallel, limits.dsp_bits):
            measured = known.at(way_in, way_out, {**folding, **pairing})
            if external and measured.word_bits > limits.port_bits:
                return
            yield i, o, {**folding, **pairing}, measured
        if 2 * interval < limits.fastest:
            return


def pairings(weight_bits: int, parallel: int, dsp_bits: int) -> Iterator[Mapping[str, Any]]:
    """What `parallel` output channels may multiply with: DSPs that two share, a DSP each, or LUTs."""
    field = pair_field(weight_bits, dsp_bits) if parallel > 1 else 0
    if field:
        yield {"pair_field": field}
    if not field or weight_bits > LIGHT_PAIR_BITS:
        yield NO_FOLDING
    if weight_bits <= MOST_FABRIC_BITS:
        yield FABRIC
