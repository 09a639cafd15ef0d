"""A column of a multiplier array whose products are instances of the device's DSP primitive."""

from __future__ import annotations

from typing import Literal

from amaranth.hdl import ClockSignal, Instance, Module, Signal, Value, signed

from deepdive.errors import DeepDiveError
from deepdive.hardware.rtl.adder_tree import AdderTree
from deepdive.hardware.rtl.mac_column import MacColumn, MacShape

DspKind = Literal["dsp48e1", "dsp48e2"]
DSP_BITS: dict[DspKind, tuple[int, int]] = {"dsp48e1": (25, 18), "dsp48e2": (27, 18)}
"""Signed operands of the multiplier, A and B: UG479, UG579."""
MODULE = "deepdive_dsp"


def dsp_kind(part: str) -> DspKind:
    """The primitive of a device: DSP48E1 of 7 series and Zynq-7000, DSP48E2 of UltraScale and UltraScale+."""
    return "dsp48e1" if part.startswith("xc7") else "dsp48e2"


class DspColumn(MacColumn):
    """As `MacColumn`, cycle by cycle, but with an instance of module `MODULE` for each product.

    Operands and product are registered inside of the DSP. Products in fabric stay there.

    Raises
    ------
    DeepDiveError
        When two packed weights or codes are wider than the multiplier.
    """

    def __init__(self, shape: MacShape, kind: DspKind) -> None:
        self.widths = (shape.factor_bits, shape.other_bits)
        most = DSP_BITS[kind]
        if not shape.fabric and (self.widths[0] > most[0] or self.widths[1] > most[1]):
            raise DeepDiveError(
                f"Column '{shape.name}' multiplies {self.widths[0]} by {self.widths[1]} bits, and a {kind.upper()} "
                f"{most[0]} by {most[1]}; compile without --dsp-instances."
            )
        super().__init__(shape)

    def product(self, m: Module, tree: AdderTree, index: int, weights: Value) -> Value:
        widths = self.widths
        if self.shape.fabric:
            return super().product(m, tree, index, weights)
        a, b = (Signal(signed(width), name=f"{name}{index}") for name, width in zip("ab", widths, strict=True))
        result = Signal(signed(sum(widths)), name=f"product{index}")
        m.d.comb += [a.eq(weights), b.eq(self.other(index))]
        m.submodules[f"dsp{index}"] = Instance(
            MODULE,
            p_A_WIDTH=widths[0],
            p_B_WIDTH=widths[1],
            i_clk=ClockSignal(),
            i_enable=self.enable,
            i_a=a,
            i_b=b,
            o_product=result,
        )
        return result
