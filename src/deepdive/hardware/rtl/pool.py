"""Global average pool in RTL: a sum a channel, requantized during the last pixel."""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal

from deepdive.hardware.constants import Scales, pool_bias
from deepdive.hardware.memory import Memory
from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.counters import counter, next_in
from deepdive.hardware.rtl.memories import add_ram
from deepdive.hardware.rtl.requantizer import Accumulators, RequantizerComponent, Rescaling
from deepdive.hardware.stages.pool import GlobalAveragePool
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops import GlobalAvgPool


class GlobalAveragePoolComponent(StageComponent):
    """Adds a beat a cycle to the sums of its channels; the first pixel of a frame overwrites those of the one before.

    The input's zero point is folded into the requantizers' bias.
    """

    def __init__(self, stage: GlobalAveragePool, node: GlobalAvgPool, x: FeatureMap) -> None:
        super().__init__(stage)
        self.stage = stage
        self.pixels = stage.input.height * stage.input.width
        self.acc_bits = max(stage.requantizer.acc_bits, (self.pixels << stage.input.bits).bit_length())
        beats = (stage.output.groups, stage.output.lanes)
        scales = Scales(
            bias=np.full(beats, pool_bias(stage, x), dtype=np.int64),
            mult=np.full(beats, node.requantize.mult[0], dtype=np.int64),
            shift=np.full(beats, node.requantize.shift[0], dtype=np.int64),
        )
        self.requantizer = RequantizerComponent(
            Accumulators(stage.output, self.acc_bits, node.acc_range(x)),
            Rescaling(node.output, node.requantize, scales),
            stage.name,
        )
        self.roms = self.requantizer.roms

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage, groups = self.stage, self.stage.input.groups
        advance, fire = Signal(), Signal()
        m.d.comb += [
            advance.eq(~self.output0.valid | self.output0.ready),
            fire.eq(advance & self.input0.valid),
            self.input0.ready.eq(advance),
        ]
        group, pixel = counter(groups, "group"), counter(self.pixels, "pixel")
        with m.If(fire):
            m.d.sync += group.eq(next_in(group, groups))
            with m.If(group == groups - 1):
                m.d.sync += pixel.eq(next_in(pixel, self.pixels))
        # Read in the beat's cycle, written in the next: two beats in a row differ in their group, or there is only one.
        sums = add_ram(m, Memory(name="sums", depth=groups, width=stage.input.lanes * self.acc_bits))
        fired, first, last = Signal(), Signal(), Signal()
        beat, address = Signal(stage.input.beat_bits, reset_less=True), Signal.like(sums.write_address, name="address")
        with m.If(advance):
            m.d.sync += [
                fired.eq(fire),
                first.eq(pixel == 0),
                last.eq(pixel == self.pixels - 1),
                beat.eq(self.input0.payload),
                address.eq(group),
            ]
        totals = []
        for lane in range(stage.input.lanes):
            code = beat.word_select(lane, stage.input.bits)
            before = sums.read_data.word_select(lane, self.acc_bits).as_signed()
            total = Signal(self.acc_bits, name=f"total{lane}")
            m.d.comb += total.eq(Mux(first, 0, before) + (code.as_signed() if stage.input.signed else code))
            totals.append(total)
        m.submodules.requantizer = requantizer = self.requantizer
        m.d.comb += [
            sums.read_enable.eq(advance),
            sums.read_address.eq(group),
            sums.write_enable.eq(advance & fired),
            sums.write_address.eq(address),
            sums.write_data.eq(Cat(totals)),
            requantizer.enable.eq(advance),
            requantizer.valid.eq(fired & last),
            requantizer.acc.eq(Cat(totals)),
            self.output0.valid.eq(requantizer.output_valid),
            self.output0.payload.eq(requantizer.codes),
        ]
        return m
