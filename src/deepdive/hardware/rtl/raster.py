"""Where a beat lies in its map."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Module, Signal, Value

from deepdive.hardware.rtl.counters import counter, next_in
from deepdive.hardware.stream import Stream


@dataclass(frozen=True)
class Raster:
    """Counters that follow the beats of a stream: rows outside, columns, groups of lanes inside."""

    row: Signal
    column: Signal
    group: Signal


def add_raster(m: Module, stream: Stream, step: Value) -> Raster:
    """Add counters to `m` that move on by a beat of `stream` with every `step`, frame after frame."""
    place = Raster(
        row=counter(stream.height, "row"), column=counter(stream.width, "column"), group=counter(stream.groups, "group")
    )
    with m.If(step):
        m.d.sync += place.group.eq(next_in(place.group, stream.groups))
        with m.If(place.group == stream.groups - 1):
            m.d.sync += place.column.eq(next_in(place.column, stream.width))
            with m.If(place.column == stream.width - 1):
                m.d.sync += place.row.eq(next_in(place.row, stream.height))
    return place
