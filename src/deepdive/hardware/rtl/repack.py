"""Repack in RTL: splits wide beats or joins narrow ones."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal

from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.counters import counter, next_in
from deepdive.hardware.stages.repack import Repack


class RepackComponent(StageComponent):
    """Moves a beat of the narrower side every cycle."""

    def __init__(self, stage: Repack) -> None:
        super().__init__(stage)
        self.stage = stage

    def elaborate(self, platform: object) -> Module:
        m = Module()
        wide, narrow = self.stage.input.beat_bits, self.stage.output.beat_bits
        if wide >= narrow:
            self._split(m, wide // narrow, narrow)
        else:
            self._join(m, narrow // wide, wide)
        return m

    def _split(self, m: Module, parts: int, bits: int) -> None:
        """The wide beat shifts down; its last part leaves in the cycle that the next one comes in.

        `valid` and `final` are registers of their own, or synthesis decodes the counter once for each bit of the beat.
        """
        beat, left = Signal(parts * bits, reset_less=True), counter(parts, "left")
        valid, final = Signal(name="valid"), Signal(name="final")
        m.d.comb += [
            self.output0.payload.eq(beat[:bits]),
            self.output0.valid.eq(valid),
            self.input0.ready.eq(~valid | (final & self.output0.ready)),
        ]
        with m.If(self.input0.ready):
            m.d.sync += [beat.eq(self.input0.payload), valid.eq(self.input0.valid)]
            m.d.sync += [left.eq(parts - 1), final.eq(parts == 1)]
        with m.Elif(self.output0.ready):
            m.d.sync += [beat.eq(beat >> bits), left.eq(left - 1), final.eq(left == 1)]

    def _join(self, m: Module, parts: int, bits: int) -> None:
        """The first parts wait in registers; the last one completes the output register."""
        waiting = Signal((parts - 1) * bits, reset_less=True)
        have = counter(parts, "have")
        whole = Cat(waiting, self.input0.payload)
        payload = Signal(parts * bits, reset_less=True)
        last, take = have == parts - 1, Signal()
        m.d.comb += [
            self.output0.payload.eq(payload),
            self.input0.ready.eq(~last | ~self.output0.valid | self.output0.ready),
            take.eq(self.input0.valid & self.input0.ready),
        ]
        with m.If(take):
            m.d.sync += [have.eq(next_in(have, parts)), waiting.eq(whole[bits:])]
        with m.If(take & last):
            m.d.sync += [payload.eq(whole), self.output0.valid.eq(1)]
        with m.Elif(self.output0.ready):
            m.d.sync += self.output0.valid.eq(0)
