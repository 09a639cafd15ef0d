"""Channel scale in RTL: a map times one factor a channel, requantized."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed

from deepdive.hardware.constants import Scales
from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.counters import counter, delayed, next_until
from deepdive.hardware.rtl.limits import Limits
from deepdive.hardware.rtl.memories import add_ram
from deepdive.hardware.rtl.requantizer import Accumulators, RequantizerComponent, Rescaling
from deepdive.hardware.stages.channel_scale import ChannelScale
from deepdive.hardware.stream import Stream
from deepdive.qnet import FeatureMap, ops

MULTIPLY_LATENCY = 3
"""Steps from a beat to its products: the beat, its operands without zero points, the products."""


def scale_limits(stage: ChannelScale, zero_points: Sequence[int]) -> dict[str, int]:
    """The numbers of its counters, and the zero points of the map and of the factors."""
    pixels = stage.input.height * stage.input.width
    zeros = {"x_zero": zero_points[0], "factor_zero": zero_points[1]}
    return {"last_pixel": pixels - 1, "last_group": stage.input.groups - 1, **zeros}


def product_range(types: tuple[FeatureMap, FeatureMap]) -> tuple[int, int]:
    """The smallest and the largest product of a map and its factors."""
    (x_low, x_high), (f_low, f_high) = ((x.q_min - x.uniform_zero_point, x.q_max - x.uniform_zero_point) for x in types)
    corners = [x * f for x in (x_low, x_high) for f in (f_low, f_high)]
    return min(corners), max(corners)


class ChannelScaleComponent(StageComponent):
    """A beat of the map a cycle; during the first pixel a beat of factors as well, which is kept for the others."""

    requantizer: Any

    def __init__(self, stage: ChannelScale, node: ops.ChannelScale, types: tuple[FeatureMap, FeatureMap]) -> None:
        super().__init__(stage, Limits([scale_limits(stage, [x.uniform_zero_point for x in types])]))
        self.stage = stage
        beats = (stage.output.groups, stage.output.lanes)
        scales = Scales(
            bias=np.zeros(beats, dtype=np.int64),
            mult=np.full(beats, node.requantize.mult[0], dtype=np.int64),
            shift=np.full(beats, node.requantize.shift[0], dtype=np.int64),
        )
        self.acc_bits = stage.requantizer.acc_bits
        self.requantizer = RequantizerComponent(
            Accumulators(stage.output, self.acc_bits, product_range(types)),
            Rescaling(node.output, node.requantize, scales),
            stage.name,
        )
        self.roms = self.requantizer.roms

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage, limits = self.stage, self.limits()
        advance, fire, first = Signal(), Signal(), Signal()
        group, pixel = (counter(self.numbers.most(f"last_{name}") + 1, name) for name in ("group", "pixel"))
        m.d.comb += [
            advance.eq(~self.output0.valid | self.output0.ready),
            first.eq(pixel == 0),
            fire.eq(advance & self.input0.valid & (~first | self.input1.valid)),
            self.input0.ready.eq(advance & (~first | self.input1.valid)),
            self.input1.ready.eq(advance & first & self.input0.valid),
        ]
        with m.If(fire):
            m.d.sync += group.eq(next_until(group, limits["last_group"]))
            with m.If(group == limits["last_group"]):
                m.d.sync += pixel.eq(next_until(pixel, limits["last_pixel"]))
        groups = self.numbers.most("last_group") + 1
        kept = add_ram(m, self.memory("kept").model_copy(update={"depth": groups}))
        beat, fresh = (Signal.like(port.payload, reset_less=True) for port in (self.input0, self.input1))
        was_first = delayed(m, first, 1, advance, "first")
        m.d.comb += [
            kept.write_enable.eq(fire & first),
            kept.write_address.eq(group),
            kept.write_data.eq(self.input1.payload),
            kept.read_enable.eq(advance),
            kept.read_address.eq(group),
        ]
        with m.If(advance):
            m.d.sync += [beat.eq(self.input0.payload), fresh.eq(self.input1.payload)]
        factors = Mux(was_first, fresh, kept.read_data)
        products = [self._product(m, advance, lane, beat, factors) for lane in range(stage.input.lanes)]
        m.submodules.requantizer = requantizer = self.requantizer
        m.d.comb += [
            requantizer.enable.eq(advance),
            requantizer.valid.eq(delayed(m, fire, MULTIPLY_LATENCY, advance, "valid")),
            requantizer.acc.eq(Cat(products)),
            self.output0.valid.eq(requantizer.output_valid),
            self.output0.payload.eq(requantizer.codes),
        ]
        return m

    def _product(self, m: Module, advance: Value, lane: int, beat: Value, factors: Value) -> Signal:
        """The product of one lane, zero points taken off first."""
        operands = []
        sources: tuple[tuple[str, Value, Stream], ...] = (
            ("x", beat, self.stage.input),
            ("factor", factors, self.stage.factors),
        )
        for name, payload, stream in sources:
            zero = self.limits()[f"{name}_zero"]
            code = payload.word_select(lane, stream.bits)
            operand = Signal(signed(stream.bits + 1), name=f"{name}{lane}", reset_less=True)
            with m.If(advance):
                m.d.sync += operand.eq((code.as_signed() if stream.signed else code) - zero)
            operands.append(operand)
        product = Signal(self.acc_bits, name=f"product{lane}", reset_less=True)
        with m.If(advance):
            m.d.sync += product.eq(operands[0] * operands[1])
        return product
