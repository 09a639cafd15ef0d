"""What multiplications and additions cost in LUTs and DSPs, as open synthesis maps the RTL.

The formulas count what stands in the RTL: an adder is a LUT a bit in front of a carry chain (UG574), a multiplication a
DSP48E2. A vendor's tool also moves additions behind multiplications into the DSPs, so these LUTs are an upper bound.
The few constants were fitted to Yosys 0.70: `tests/rtl/test_model.py` holds them to it.
"""

from __future__ import annotations

from dataclasses import dataclass

from deepdive.hardware.stages.summing import Summing, in_cascades

WIDE_BITS = 27
"""Bits of the wider operand of a DSP48E2, which multiplies 27 x 18 (UG579); a DSP48E1 multiplies 25 x 18 (UG479)."""

MOST_FIELD_BITS = 18
"""Two packed products lie no further apart: wider fields hold longer sums, but every adder of them is wider, too."""

CODE_BITS = 8
"""No code has more."""

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


def field_terms(field: int, x_bits: int, x_signed: bool, w_bits: int) -> int:
    """Products whose sum fits the lower of two packed fields: 64 of 4-bit weights and 8-bit codes, 4 of 8-bit ones."""
    largest = 1 << (x_bits - 1) if x_signed else (1 << x_bits) - 1
    return ((1 << (field - 1)) - 1) // (largest << (w_bits - 1))


def pair_field(w_bits: int, wide_bits: int = WIDE_BITS) -> int:
    """Distance of the products of two weights and a code of any kind that share a DSP; 0 where there is no room.

    Two weights at that distance, ``(w1 << field) + w0``, take a bit more than the field and a weight together.
    """
    field = min(MOST_FIELD_BITS, wide_bits - w_bits - 1)
    return field if field > 1 and field_terms(field, CODE_BITS, False, w_bits) else 0


def pixel_field(x_bits: int, w_bits: int, wide_bits: int = WIDE_BITS) -> int:
    """Distance of the products of two codes and a weight that share a DSP; 0 where there is no room.

    The codes take the wider operand, ``(x1 << field) + x0``: a bit more than the field and a code together.
    """
    field = min(MOST_FIELD_BITS, wide_bits - x_bits - 1)
    return field if field > 1 and field_terms(field, CODE_BITS, False, w_bits) else 0


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

    def summing(self, terms: int = 0, *, cascade: bool = False) -> Summing:
        """The order in which products are added, packed ones taken apart once per `terms` of them."""
        chunks = -(-self.inputs // terms) if terms else 1
        chunk = -(-self.inputs // chunks)
        return in_cascades(self.inputs, chunk) if cascade else Summing(self.inputs, chunk, 1, tree_radix(self.inputs))

    def luts(self, *, fabric: bool = False, cascade: bool = False) -> float:
        """LUTs of the adder tree; with `fabric` of the multipliers, too; with `cascade` DSPs add as far as they can."""
        how = self.summing(cascade=cascade and not fabric)
        chain = min(self.x_bits + self.w_bits + (how.chain - 1).bit_length(), self.acc_bits)
        multipliers = self.inputs * fabric_multiplier_luts(self.x_bits, self.w_bits) if fabric else 0
        return multipliers + tree_luts(how.chains, chain, self.acc_bits, how.radix)

    def pair_luts(self, field: int, terms: int, *, cascade: bool = False) -> float:
        """LUTs of two columns that share their multipliers and an adder tree, taken apart once per `terms` products.

        Joining two weights is an adder of ``w_bits + 1`` bits: the upper weight, less the lower one's sign. With
        `cascade` the DSPs join them, and add as far as they can.
        """
        joins = 0 if cascade else self.inputs * (self.w_bits + 1)
        return joins + self._packed_luts(field, terms, cascade)

    def pixel_luts(self, field: int, terms: int, *, x_signed: bool, cascade: bool = False) -> float:
        """The same of two columns that share their weights; codes without a sign are joined by wires alone."""
        joins = self.inputs * (self.x_bits + 1) if x_signed and not cascade else 0
        return joins + self._packed_luts(field, terms, cascade)

    def _packed_luts(self, field: int, terms: int, cascade: bool) -> float:
        """LUTs behind the multipliers of two packed columns.

        What a lower sum has borrowed from the upper one is added back: every second time by the carry of another adder.
        """
        how = self.summing(terms, cascade=cascade)
        most = field + self.acc_bits
        product = min(self.x_bits + field + self.w_bits + 1, most)
        upper = min(product + how.chunk.bit_length() - field, self.acc_bits)
        chain = min(product + (how.chain - 1).bit_length(), most)
        apart = how.chunks * tree_luts(how.chains, chain, most, how.radix) + how.chunks // 2 * upper
        rest = 2 * tree_luts(how.chunks, field, self.acc_bits, how.radix)
        return apart + rest + SEPARATION_LUTS

    def waiting(self, terms: int = 0, *, pixels: bool = False) -> int:
        """Flip-flops in which operands wait for their turn in a cascade; with `terms` they are pairs."""
        codes, weights = (2, 1) if pixels else (1, 2 if terms else 1)
        return self.summing(terms, cascade=True).waits * (codes * self.x_bits + weights * self.w_bits)
