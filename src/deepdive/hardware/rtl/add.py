"""Residual add in RTL: both factors are constants, zero points and rounding one more constant."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed

from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.stages.add import ResidualAdd
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops import Add


class ResidualAddComponent(StageComponent):
    """``clip((a * m_a + b * m_b + constant) >> shift)``: three cycles, a beat of each input a cycle.

    The constant holds ``half - z_a * m_a - z_b * m_b + (z_y << shift)``.
    """

    def __init__(self, stage: ResidualAdd, node: Add, types: tuple[FeatureMap, FeatureMap]) -> None:
        super().__init__(stage)
        self.stage = stage
        self.node = node
        half = 1 << (node.shift - 1) if node.rounding == "half_up" else 0
        zero = sum(x.uniform_zero_point * mult for x, mult in zip(types, node.mult, strict=True))
        self.constant = half - zero + (node.output.uniform_zero_point << node.shift)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        advance = Signal()
        both = self.input0.valid & self.input1.valid
        m.d.comb += [
            advance.eq(~self.output0.valid | self.output0.ready),
            self.input0.ready.eq(advance & self.input1.valid),
            self.input1.ready.eq(advance & self.input0.valid),
        ]
        valid_1, valid_2 = Signal(), Signal()
        with m.If(advance):
            m.d.sync += [valid_1.eq(both), valid_2.eq(valid_1), self.output0.valid.eq(valid_2)]
        codes = [self._lane(m, advance, lane) for lane in range(self.stage.output.lanes)]
        m.d.comb += self.output0.payload.eq(Cat(codes))
        return m

    def _lane(self, m: Module, advance: Value, lane: int) -> Signal:
        node, bits = self.node, self.stage.output.bits
        products = []
        ports = zip((self.input0, self.input1), self.stage.inputs, node.mult, ("a", "b"), strict=True)
        for port, source, mult, name in ports:
            code = port.payload.word_select(lane, source.bits)
            product = Signal(signed(source.bits + 1 + max(1, mult.bit_length())), name=f"{name}{lane}", reset_less=True)
            with m.If(advance):
                m.d.sync += product.eq((code.as_signed() if source.signed else code) * mult)
            products.append(product)
        constant_bits = (self.constant if self.constant >= 0 else ~self.constant).bit_length() + 1
        width = 2 + max(constant_bits, *(len(product) for product in products))
        total = Signal(signed(width), name=f"total{lane}", reset_less=True)
        result = total >> node.shift
        code = Signal(bits, name=f"code{lane}", reset_less=True)
        with m.If(advance):
            m.d.sync += [
                total.eq(products[0] + products[1] + self.constant),
                code.eq(Mux(result < node.q_min, node.q_min, Mux(result > node.q_max, node.q_max, result))),
            ]
        return code
