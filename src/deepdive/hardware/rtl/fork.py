"""Fork in RTL: one stream to two readers."""

from __future__ import annotations

from amaranth.hdl import Module, Signal

from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.stages.fork import Fork


class ForkComponent(StageComponent):
    """A registered beat is offered to both outputs; the next one is taken when both have read it."""

    def __init__(self, stage: Fork) -> None:
        super().__init__(stage)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beat = Signal.like(self.input0.payload, reset_less=True, name="beat")
        outputs = (self.output0, self.output1)
        free = [~output.valid | output.ready for output in outputs]
        m.d.comb += self.input0.ready.eq(free[0] & free[1])
        for output in outputs:
            m.d.comb += output.payload.eq(beat)
            with m.If(self.input0.ready):
                m.d.sync += output.valid.eq(self.input0.valid)
            with m.Elif(output.ready):
                m.d.sync += output.valid.eq(0)
        with m.If(self.input0.ready):
            m.d.sync += beat.eq(self.input0.payload)
        return m
