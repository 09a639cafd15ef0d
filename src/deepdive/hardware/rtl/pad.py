"""Pad in RTL: a map within a frame of its zero point."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.raster import add_raster
from deepdive.hardware.stages.pad import Pad


class PadComponent(StageComponent):
    """A beat a cycle: the input's inside the map, the zero point around it.

    A frame's first beat waits until the map's first one is offered, so that nothing leaves of a frame that never comes.
    """

    def __init__(self, stage: Pad) -> None:
        super().__init__(stage)
        self.stage = stage

    def elaborate(self, platform: object) -> Module:
        m = Module()
        source, target = self.stage.input, self.stage.output
        top, left, _, _ = self.stage.padding
        advance, inside, begins, give = Signal(), Signal(), Signal(), Signal()
        place = add_raster(m, target, advance & give)
        zeros = Const(self.stage.zero_point, source.bits)
        payload = Signal(target.beat_bits, reset_less=True)
        m.d.comb += [
            inside.eq(within(place.row, top, source.height) & within(place.column, left, source.width)),
            begins.eq((place.row == 0) & (place.column == 0) & (place.group == 0)),
            give.eq(self.input0.valid | ~(inside | begins)),
            advance.eq(~self.output0.valid | self.output0.ready),
            self.input0.ready.eq(advance & inside),
            self.output0.payload.eq(payload),
        ]
        with m.If(advance):
            m.d.sync += [
                self.output0.valid.eq(give),
                payload.eq(Mux(inside, self.input0.payload, Cat([zeros] * target.lanes))),
            ]
        return m


def within(position: Signal, first: int, count: int) -> Value:
    """Whether `position` is one of `count` from `first` on."""
    return (position >= first) & (position < first + count)
