"""Requantization in a shared unit: as the streamed one, with zero point, clip and rounding of the block at hand."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from deepdive.hardware.rtl.counters import counter, next_until
from deepdive.hardware.rtl.limits import Limit
from deepdive.hardware.rtl.requantizer import LATENCY
from deepdive.hardware.rtl.shared_layers import Precision, Rescaled
from deepdive.hardware.stages.shared_body import DROP_BITS, MULT_BITS
from deepdive.hardware.stages.shared_chain import CODE_BITS


def requantizer_limits(layer: Rescaled) -> dict[str, int]:
    """What all channels of a layer have in common."""
    how = layer.rescaling.how
    return {
        "zero_point": layer.rescaling.type.uniform_zero_point,
        "q_min": how.q_min,
        "q_max": how.q_max,
        "half_up": int(how.rounding == "half_up"),
    }


class SharedRequantizer(wiring.Component):
    """`lanes` requantizers that are told their constants.

    Attributes
    ----------
    enable, valid, acc, output_valid, codes
        As of `RequantizerComponent`.
    scales_address
        The row of constants, counted from the layer's first, that `scales` brings an enabled clock cycle later.
    """

    def __init__(self, precision: Precision, lanes: int, limits: dict[str, Limit], most_rows: int = 1) -> None:
        self.lanes, self.most_rows = lanes, most_rows
        super().__init__(
            {
                "enable": In(1),
                "valid": In(1),
                "acc": In(self.lanes * precision.acc_bits),
                "output_valid": Out(1),
                "codes": Out(self.lanes * CODE_BITS),
                "scales_address": Out(range(max(most_rows, 2))),
                "scales": In(self.lanes * precision.scale_bits),
            }
        )
        self.precision, self.limits = precision, limits

    def elaborate(self, platform: object) -> Module:
        m = Module()
        row = counter(self.most_rows, "row")
        m.d.comb += self.scales_address.eq(row)
        with m.If(self.enable & self.valid):
            m.d.sync += row.eq(next_until(row, self.limits.get("last_scale", 0)))
        acc = Signal.like(self.acc, reset_less=True, name="acc_r")
        with m.If(self.enable):
            m.d.sync += acc.eq(self.acc)
        acc_bits, scale_bits = self.precision.acc_bits, self.precision.scale_bits
        codes = [
            self._lane(m, lane, acc.word_select(lane, acc_bits), self.scales.word_select(lane, scale_bits))
            for lane in range(self.lanes)
        ]
        m.d.comb += self.codes.eq(Cat(codes))
        valid = self.valid
        for step in range(LATENCY):
            register = self.output_valid if step == LATENCY - 1 else Signal(name=f"valid_{step + 1}")
            with m.If(self.enable):
                m.d.sync += register.eq(valid)
            valid = register
        return m

    def _lane(self, m: Module, lane: int, acc: Value, word: Value) -> Signal:
        precision, limits = self.precision, self.limits
        mult, drop, bias = word[:MULT_BITS], word[MULT_BITS : MULT_BITS + DROP_BITS], word[MULT_BITS + DROP_BITS :]
        total = Signal(signed(precision.acc_bits), name=f"total{lane}", reset_less=True)
        mult_r = Signal(MULT_BITS, name=f"mult{lane}", reset_less=True)
        product = Signal(signed(precision.acc_bits + MULT_BITS), name=f"product{lane}", reset_less=True)
        shifted = Signal(signed(precision.shifted_bits), name=f"shifted{lane}", reset_less=True)
        code = Signal(CODE_BITS, name=f"code{lane}", reset_less=True)
        least = min(precision.least_right, len(product) - 1)
        further = Signal(max((precision.most_right - least).bit_length(), 1), name=f"further{lane}", reset_less=True)
        further_2 = Signal.like(further, name=f"further{lane}_2")
        offset, low, high = limits["zero_point"], limits["q_min"], limits["q_max"]
        nearest, floor = (shifted + 1 + (offset << 1)) >> 1, shifted + offset
        half_up = limits["half_up"]
        result = (nearest if half_up else floor) if isinstance(half_up, int) else Mux(half_up, nearest, floor)
        with m.If(self.enable):
            m.d.sync += [
                total.eq(acc + bias),
                mult_r.eq(mult),
                further.eq(drop - least),
                product.eq(total * mult_r),
                further_2.eq(further),
                shifted.eq(product[least:].as_signed() >> further_2),
                code.eq(Mux(result < low, low, Mux(result > high, high, result))),
            ]
        return code
