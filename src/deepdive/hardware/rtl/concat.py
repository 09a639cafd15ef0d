"""Concat in RTL: two streams in turn, pixel by pixel."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal

from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.counters import counter, next_in
from deepdive.hardware.stages.concat import Concat


class ConcatComponent(StageComponent):
    """A registered beat, of the input whose turn it is: one a cycle."""

    def __init__(self, stage: Concat) -> None:
        super().__init__(stage)
        self.stage = stage

    def elaborate(self, platform: object) -> Module:
        m = Module()
        groups = self.stage.output.groups
        group = counter(groups, "group")
        first, advance, valid = group < self.stage.input_a.groups, Signal(), Signal()
        m.d.comb += [
            advance.eq(~self.output0.valid | self.output0.ready),
            valid.eq(Mux(first, self.input0.valid, self.input1.valid)),
            self.input0.ready.eq(advance & first),
            self.input1.ready.eq(advance & ~first),
        ]
        beat = Signal.like(self.output0.payload, reset_less=True, name="beat")
        m.d.comb += self.output0.payload.eq(beat)
        with m.If(advance):
            m.d.sync += [
                beat.eq(Mux(first, self.input0.payload, self.input1.payload)),
                self.output0.valid.eq(valid),
            ]
            with m.If(valid):
                m.d.sync += group.eq(next_in(group, groups))
        return m
