"""What multiplications and additions cost in LUTs and DSPs, as open synthesis maps the RTL.

The formulas count what stands in the RTL: an adder is a LUT a bit in front of a carry chain (UG574), a multiplication a
DSP48E2. A vendor's tool also moves additions behind multiplications into the DSPs, so these LUTs are an upper bound.
The few constants were fitted to Yosys 0.70: `tests/rtl/test_model.py` holds them to it.
"""

from __future__ import annotations

from dataclasses import dataclass

PACKED_FIELD_BITS = 18
"""Distance of two packed products: a DSP48E2 multiplies 27 x 18 bits (UG579), so 8-bit codes and 4-bit weights fit."""

MOST_BINARY = 64
"""Products that a tree of two-input adders sums: six levels of registers. More are added four at a time, in carry-save
adders, or the pipeline would be longer than `PIPELINE_CYCLES`."""

CARRY_SAVE_LUTS = {1: 0.0, 2: 1.0, 3: 2.6, 4: 4.3}
"""LUTs a bit of a sum of so many operands in one clock cycle; fitted."""

SEPARATION_LUTS = 13
"""What a pair of packed columns has beyond its adders; fitted."""


def tree_radix(inputs: int) -> int:
    """Operands that one level of a column's adder tree joins."""
    return 2 if inputs <= MOST_BINARY else 4


def tree_luts(operands: int, bits: int, most_bits: int, radix: int = 2) -> float:
    """LUTs of a tree that sums `operands` of `bits` bits; no sum is wider than `most_bits`."""
    luts = 0.0
    while operands > 1:
        bits = min(bits + (radix - 1).bit_length(), most_bits)
        whole, rest = divmod(operands, radix)
        luts += bits * (whole * CARRY_SAVE_LUTS[radix] + (CARRY_SAVE_LUTS[rest] if rest else 0))
        operands = whole + (rest > 0)
    return luts


def fabric_multiplier_luts(x_bits: int, w_bits: int) -> int:
    """LUTs of a multiplier without a DSP: a row of the code for each bit of the weight, added up; fitted."""
    return w_bits * (x_bits + 2) + 5 * max(w_bits - 4, 0)


@dataclass(frozen=True)
class Column:
    """Multipliers and adders that make ``sum(x[i] * w[i])`` over `inputs` products a cycle, `acc_bits` wide."""

    inputs: int
    x_bits: int
    w_bits: int
    acc_bits: int

    def luts(self, *, fabric: bool = False) -> float:
        """LUTs of the adder tree; with `fabric` of the multipliers, too."""
        product = self.x_bits + self.w_bits
        multipliers = self.inputs * fabric_multiplier_luts(self.x_bits, self.w_bits) if fabric else 0
        return multipliers + tree_luts(self.inputs, product, self.acc_bits, tree_radix(self.inputs))

    def pair_luts(self, terms: int) -> float:
        """LUTs of two columns that share their multipliers and an adder tree, taken apart once per `terms` products.

        Joining two weights is an adder of ``w_bits + 1`` bits: the upper weight, less the lower one's sign.
        """
        chunks = -(-self.inputs // terms)
        radix, chunk = tree_radix(self.inputs), -(-self.inputs // chunks)
        most = PACKED_FIELD_BITS + self.acc_bits
        product = min(self.x_bits + PACKED_FIELD_BITS + self.w_bits + 1, most)
        field = min(product + chunk.bit_length() - PACKED_FIELD_BITS, self.acc_bits)
        joins = self.inputs * (self.w_bits + 1)
        apart = chunks * (tree_luts(chunk, product, most, radix) + field)
        rest = 2 * tree_luts(chunks, PACKED_FIELD_BITS, self.acc_bits, radix)
        return joins + apart + rest + SEPARATION_LUTS
