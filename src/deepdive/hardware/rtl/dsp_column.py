"""A column of a multiplier array whose products are instances of the device's DSP primitive, and sum themselves."""

from __future__ import annotations

from typing import Literal

from amaranth.hdl import ClockSignal, Const, Instance, Module, Signal, Value, signed

from deepdive.errors import DeepDiveError
from deepdive.hardware.rtl.adder_tree import AdderTree
from deepdive.hardware.rtl.mac_column import MacColumn, MacShape
from deepdive.hardware.stages.summing import OWN_DELAYS, waits

DspKind = Literal["dsp48e1", "dsp48e2"]
DSP_BITS: dict[DspKind, tuple[int, int]] = {"dsp48e1": (25, 18), "dsp48e2": (27, 18)}
"""Signed operands of the multiplier, behind the pre-adder and at B: UG479, UG579."""
CASCADE_BITS = 48
"""From a DSP to the one above it."""
MODULE = "deepdive_dsp"


def dsp_kind(part: str) -> DspKind:
    """The primitive of a device: DSP48E1 of 7 series and Zynq-7000, DSP48E2 of UltraScale and UltraScale+."""
    return "dsp48e1" if part.startswith("xc7") else "dsp48e2"


def mac_column(shape: MacShape, kind: DspKind) -> MacColumn:
    """The hardware of a column on a device: plain Verilog, or instances where it is a cascade."""
    return DspColumn(shape, kind) if shape.cascade else MacColumn(shape)


class DspColumn(MacColumn):
    """As `MacColumn`, but with an instance of module `MODULE` for each product, in chains of ``summing.chain``.

    A DSP joins two weights in its pre-adder and adds the sum of the one below it. Product i of a chain comes i cycles
    after the first: `OWN_DELAYS` by the DSP's own registers, the others by flip-flops, before weights are joined. A
    chain that is shorter than the others begins later, so that all sums come together.

    Raises
    ------
    DeepDiveError
        When two packed weights or codes are wider than the multiplier.
    """

    def __init__(self, shape: MacShape, kind: DspKind) -> None:
        self.widths = (shape.factor_bits, shape.other_bits)
        most = DSP_BITS[kind]
        if self.widths[0] > most[0] or self.widths[1] > most[1]:
            raise DeepDiveError(
                f"Column '{shape.name}' multiplies {self.widths[0]} by {self.widths[1]} bits, and a {kind.upper()} "
                f"{most[0]} by {most[1]}; compile without --dsp-instances."
            )
        super().__init__(shape)

    def partial_sums(self, m: Module, tree: AdderTree, indices: range) -> list[Value]:
        chain = self.shape.summing.chain
        return [self._chain(m, indices[start : start + chain]) for start in range(0, len(indices), chain)]

    def _chain(self, m: Module, indices: range) -> Value:
        """The sum of some products, signed; none of them is as wide as the cascade."""
        below: Value = Const(0, CASCADE_BITS)
        width = sum(self.widths) + (len(indices) - 1).bit_length()
        first = self.shape.summing.chain - len(indices)
        for position, index in enumerate(indices, first):
            above = Signal(CASCADE_BITS, name=f"cascade{index}")
            total = Signal(signed(width), name=f"sum{index}")
            self._dsp(m, index, position, position > first, (below, above, total))
            below = above
        return total

    def _dsp(self, m: Module, index: int, position: int, cascaded: bool, sums: tuple[Value, Signal, Signal]) -> None:
        """The instance of a product, its operands as late as its position asks for."""
        shape, below, above, total = self.shape, *sums
        part = self._code if shape.pixels else self._weight
        parts = [part(index, column) for column in range(shape.columns)]
        other, low, *high = (
            self._late(m, operand, waits(position), f"{name}{index}")
            for name, operand in zip(("other", "low", "high"), (self.other(index), *parts), strict=False)
        )
        a = Signal(signed(shape.factor_bits), name=f"a{index}")
        b = Signal(signed(self.widths[1]), name=f"b{index}")
        d = Signal(signed(len(low) + (not low.shape().signed)), name=f"d{index}")
        m.d.comb += [a.eq(high[0] << shape.field if high else 0), b.eq(other), d.eq(low)]
        m.submodules[f"dsp{index}"] = Instance(
            MODULE,
            p_A_WIDTH=shape.factor_bits,
            p_B_WIDTH=self.widths[1],
            p_D_WIDTH=len(d),
            p_P_WIDTH=len(total),
            p_DELAY=min(position, OWN_DELAYS),
            p_CASCADE=int(cascaded),
            i_clk=ClockSignal(),
            i_enable=self.enable,
            i_a=a,
            i_b=b,
            i_d=d,
            i_pcin=below,
            o_p=total,
            o_pcout=above,
        )

    def _late(self, m: Module, operand: Value, cycles: int, name: str) -> Value:
        """An operand so many enabled cycles later."""
        for cycle in range(cycles):
            register = Signal(operand.shape(), name=f"{name}_{cycle + 1}", reset_less=True)
            with m.If(self.enable):
                m.d.sync += register.eq(operand)
            operand = register
        return operand
