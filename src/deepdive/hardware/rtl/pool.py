"""Global average pool in RTL: a sum a channel, requantized during the last pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value

from deepdive.hardware.constants import Scales, pool_bias
from deepdive.hardware.memory import Memory
from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.counters import counter, next_until
from deepdive.hardware.rtl.limits import Limits
from deepdive.hardware.rtl.memories import RamPorts, add_ram
from deepdive.hardware.rtl.requantizer import Accumulators, RequantizerComponent, Rescaling
from deepdive.hardware.stages.pool import GlobalAveragePool
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops import GlobalAvgPool


def pool_limits(stage: GlobalAveragePool) -> dict[str, int]:
    """The numbers of its counters."""
    return {"last_pixel": stage.input.height * stage.input.width - 1, "last_group": stage.input.groups - 1}


class GlobalAveragePoolComponent(StageComponent):
    """Adds a beat a cycle to the sums of its channels; the first pixel of a frame overwrites those of the one before.

    The input's zero point is folded into the requantizers' bias.
    """

    requantizer: Any

    def __init__(self, stage: GlobalAveragePool, node: GlobalAvgPool, x: FeatureMap) -> None:
        super().__init__(stage, Limits([pool_limits(stage)]))
        self.stage = stage
        pixels = stage.input.height * stage.input.width
        self.acc_bits = max(stage.requantizer.acc_bits, (pixels << stage.input.bits).bit_length())
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
        stage, limits = self.stage, self.limits()
        advance, fire = Signal(), Signal()
        m.d.comb += [
            advance.eq(~self.output0.valid | self.output0.ready),
            fire.eq(advance & self.input0.valid),
            self.input0.ready.eq(advance),
        ]
        groups = self.numbers.most("last_group") + 1
        group, pixel = counter(groups, "group"), counter(self.numbers.most("last_pixel") + 1, "pixel")
        with m.If(fire):
            m.d.sync += group.eq(next_until(group, limits["last_group"]))
            with m.If(group == limits["last_group"]):
                m.d.sync += pixel.eq(next_until(pixel, limits["last_pixel"]))
        # Read in the beat's cycle, written in the next: two beats in a row differ in their group, or there is only one.
        sums = add_ram(m, Memory(name="sums", depth=groups, width=stage.input.lanes * self.acc_bits))
        fired, first, last = Signal(), Signal(), Signal()
        beat, address = Signal(stage.input.beat_bits, reset_less=True), Signal.like(sums.write_address, name="address")
        with m.If(advance):
            m.d.sync += [
                fired.eq(fire),
                first.eq(pixel == 0),
                last.eq(pixel == limits["last_pixel"]),
                beat.eq(self.input0.payload),
                address.eq(group),
            ]
        kept = self._kept(m, sums)
        totals = []
        for lane in range(stage.input.lanes):
            code = beat.word_select(lane, stage.input.bits)
            before = kept.word_select(lane, self.acc_bits).as_signed()
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

    def _kept(self, m: Module, sums: RamPorts) -> Value:
        """The sums of the beat at hand."""
        return sums.read_data
