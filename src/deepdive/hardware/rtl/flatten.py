"""Flatten in RTL: a beat goes on as it is."""

from __future__ import annotations

from amaranth.hdl import Module, Signal

from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.stages.flatten import Flatten


class FlattenComponent(StageComponent):
    """A register: pixels and channels travel in the order of the flat vector already."""

    def __init__(self, stage: Flatten) -> None:
        super().__init__(stage)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        payload = Signal.like(self.output0.payload, reset_less=True, name="beat")
        m.d.comb += [
            self.input0.ready.eq(~self.output0.valid | self.output0.ready),
            self.output0.payload.eq(payload),
        ]
        with m.If(self.input0.ready):
            m.d.sync += [self.output0.valid.eq(self.input0.valid), payload.eq(self.input0.payload)]
        return m
