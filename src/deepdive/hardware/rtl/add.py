"""Residual add in RTL: both factors are constants, zero points and rounding one more constant."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed

from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.limits import Limit, Limits
from deepdive.hardware.rtl.memories import signed_bits
from deepdive.hardware.stages.add import ResidualAdd
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops import Add


def add_limits(node: Add, types: tuple[FeatureMap, FeatureMap]) -> dict[str, int]:
    """What ``clip((a * mult_a + b * mult_b + constant) >> shift)`` needs, a and b of these `types`.

    The constant holds ``half - z_a * m_a - z_b * m_b + (z_y << shift)``.
    """
    half = 1 << (node.shift - 1) if node.rounding == "half_up" else 0
    zero = sum(x.uniform_zero_point * mult for x, mult in zip(types, node.mult, strict=True))
    return {
        "mult_a": node.mult[0],
        "mult_b": node.mult[1],
        "constant": half - zero + (node.output.uniform_zero_point << node.shift),
        "shift": node.shift,
        "q_min": node.q_min,
        "q_max": node.q_max,
    }


class ResidualAddComponent(StageComponent):
    """``clip((a * mult_a + b * mult_b + constant) >> shift)``: three cycles, a beat of each input a cycle."""

    def __init__(self, stage: ResidualAdd, numbers: Limits) -> None:
        super().__init__(stage, numbers)
        self.stage = stage

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
        limits = self.limits()
        codes = [self._lane(m, advance, lane, limits) for lane in range(self.stage.output.lanes)]
        m.d.comb += self.output0.payload.eq(Cat(codes))
        return m

    def _lane(self, m: Module, advance: Value, lane: int, limits: dict[str, Limit]) -> Signal:
        products = []
        for port, source, name in zip((self.input0, self.input1), self.stage.inputs, ("a", "b"), strict=True):
            code = port.payload.word_select(lane, source.bits)
            mult_bits = max(1, self.numbers.most(f"mult_{name}").bit_length())
            product = Signal(signed(source.bits + 1 + mult_bits), name=f"{name}{lane}", reset_less=True)
            with m.If(advance):
                m.d.sync += product.eq((code.as_signed() if source.signed else code) * limits[f"mult_{name}"])
            products.append(product)
        constants = self.numbers.ends("constant")
        total = Signal(
            signed(2 + max(signed_bits(constants), *(len(product) for product in products))),
            name=f"total{lane}",
            reset_less=True,
        )
        result = total >> limits["shift"]
        low, high = limits["q_min"], limits["q_max"]
        code = Signal(self.stage.output.bits, name=f"code{lane}", reset_less=True)
        with m.If(advance):
            m.d.sync += [
                total.eq(products[0] + products[1] + limits["constant"]),
                code.eq(Mux(result < low, low, Mux(result > high, high, result))),
            ]
        return code
