"""A column of a multiplier array, or two that share their DSPs: products, a pipelined adder tree, an accumulator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from deepdive.hardware.rtl.adder_tree import AdderTree, balanced
from deepdive.hardware.stages.arithmetic import field_terms, tree_radix
from deepdive.hardware.stages.summing import Summing, in_cascades
from deepdive.qnet.feature_map import FeatureMap


def moved_up(x: FeatureMap) -> FeatureMap:
    """The map with the codes of `x` without a sign: signed ones and half of their range; zero points move along.

    Open synthesis makes a multiplier of LUTs for signed codes and 4-bit weights of 50 LUTs instead of 40, and for 8-bit
    ones of 160 instead of 100. To move codes is to invert their sign bits, and what that adds to a sum, the weights'
    sum times a constant, goes into the bias with the zero point.
    """
    return replace(x, signed=False, zero_point=tuple(point - x.q_min for point in x.zero_points))


def handed_over(x: FeatureMap, fabric: bool, count: int) -> tuple[FeatureMap, int]:
    """The map as multipliers see it, and which bits of `count` codes beside each other are inverted for that."""
    if not fabric or not x.signed:
        return x, 0
    return moved_up(x), sum(1 << (x.bits * (index + 1) - 1) for index in range(count))


@dataclass(frozen=True)
class MacShape:
    """What a column computes: ``sum(x[i] * w[i])`` over `inputs` products a cycle, modulo ``2**acc_bits``.

    With a `field` it computes two columns that read the same x, a multiplier for both, their products so many bits
    apart; with `pixels` as well, two that have the same w and read the codes of two pixels. With `fabric` it has no `*`
    that synthesis would map to a DSP: its products are sums of shifted codes. With `cascade` its DSPs are instances
    that sum their products themselves: see `DspColumn`.
    """

    inputs: int
    x_bits: int
    x_signed: bool
    w_bits: int
    acc_bits: int
    accumulate: bool
    field: int = 0
    fabric: bool = False
    cascade: bool = False
    pixels: bool = False

    @property
    def name(self) -> str:
        """Names the column's Verilog module: equal shapes share one."""
        sign = "s" if self.x_signed else "u"
        tail = (
            (f"_{'pixels' if self.pixels else 'pair'}{self.field}" if self.field else "")
            + ("_fabric" if self.fabric else "")
            + ("_cascade" if self.cascade else "")
            + ("_accumulate" if self.accumulate else "")
        )
        return f"deepdive_mac_{self.inputs}x{sign}{self.x_bits}_w{self.w_bits}_acc{self.acc_bits}{tail}"

    @property
    def columns(self) -> int:
        return 2 if self.field else 1

    @property
    def x_width(self) -> int:
        """Bits of all codes of a step."""
        return (self.columns if self.pixels else 1) * self.inputs * self.x_bits

    @property
    def w_width(self) -> int:
        """Bits of all weights of a step."""
        return (1 if self.pixels else self.columns) * self.inputs * self.w_bits

    @property
    def factor_bits(self) -> int:
        """Of the wider operand of a multiplier: a weight, or two packed ones, or two packed codes."""
        return (self.x_bits if self.pixels else self.w_bits) + (self.field + 1 if self.field else 0)

    @property
    def other_bits(self) -> int:
        """Of its other operand, signed: a code, or the weight of two codes."""
        return self.w_bits if self.pixels else self.x_bits + (not self.x_signed)

    @property
    def packed_terms(self) -> int:
        """Products whose sum the lower of two packed fields holds."""
        return field_terms(self.field, self.x_bits, self.x_signed, self.w_bits)

    @property
    def chunk(self) -> int:
        """Products that are summed before packed fields are taken apart; all of them where nothing is packed."""
        if not self.field:
            return self.inputs
        chunks = -(-self.inputs // self.packed_terms)
        return -(-self.inputs // chunks)

    @property
    def summing(self) -> Summing:
        """The order in which products are added."""
        if self.cascade:
            return in_cascades(self.inputs, self.chunk)
        return Summing(self.inputs, self.chunk, 1, tree_radix(self.inputs))

    @property
    def sum_latency(self) -> int:
        """Enabled cycles from the operands to their sum."""
        return self.summing.latency

    @property
    def latency(self) -> int:
        """Enabled cycles from the operands to `acc`."""
        return self.sum_latency + self.accumulate


def shifted_sum(code: Value, weight: Value) -> Value:
    """`code` times a signed weight as a sum of shifted codes, one a bit of the weight; the sign's bit subtracts."""
    return difference([Mux(weight[bit], code, 0) << bit for bit in range(len(weight))])


def difference(rows: Sequence[Value]) -> Value:
    """The sum of all rows but the last, less the last, two and two."""
    if len(rows) == 1:
        return -rows[0]
    half = len(rows) // 2
    first = balanced(rows[:half])
    return first - rows[-1] if len(rows) == 2 else first + difference(rows[half:])


class MacColumn(wiring.Component):
    """The hardware of a `MacShape`.

    Attributes
    ----------
    enable
        The pipeline moves.
    x, w
        Operands, `inputs` of each, lowest first; w is signed. Of two columns w, or with `pixels` x, holds the second
        one's after the first one's.
    add, clear
        At the accumulator, `MacShape.sum_latency` cycles after the operands: take this sum; forget the sums before it.
    acc
        The accumulator of each column (the sum itself where nothing accumulates).
    """

    def __init__(self, shape: MacShape) -> None:
        members = {
            "enable": In(1),
            "x": In(shape.x_width),
            "w": In(shape.w_width),
            "acc": Out(shape.columns * shape.acc_bits),
        }
        if shape.accumulate:
            members |= {"add": In(1), "clear": In(1)}
        super().__init__(members)
        self.shape = shape

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.shape
        totals = self._packed_sums(m) if shape.field else [self._sum(m)]
        for column, total in enumerate(totals):
            acc = self.acc.word_select(column, shape.acc_bits)
            if not shape.accumulate:
                m.d.comb += acc.eq(total)
                continue
            register = Signal(signed(shape.acc_bits), name=f"acc{column}")
            m.d.comb += acc.eq(register)
            with m.If(self.enable & self.add):
                m.d.sync += register.eq(Mux(self.clear, 0, register) + total)
        return m

    def _code(self, index: int, column: int = 0) -> Value:
        code = self.x.word_select(column * self.shape.inputs + index, self.shape.x_bits)
        return code.as_signed() if self.shape.x_signed else code

    def other(self, index: int) -> Value:
        """What a multiplier takes beside its `weights`: a code, or the weight of two codes."""
        return self._weight(index) if self.shape.pixels else self._code(index)

    def _operand(self, m: Module, index: int) -> Value:
        """The same, registered."""
        value = self.other(index)
        register = Signal(value.shape(), name=f"x{index}", reset_less=True)
        with m.If(self.enable):
            m.d.sync += register.eq(value)
        return register

    def _weight(self, index: int, column: int = 0) -> Value:
        return self.w.word_select(column * self.shape.inputs + index, self.shape.w_bits).as_signed()

    def partial_sums(self, m: Module, tree: AdderTree, indices: range) -> list[Value]:
        """What an adder tree is to sum: `other` times a weight, or two packed weights or codes, two cycles later."""
        return [self._product(m, tree, index) for index in indices]

    def _product(self, m: Module, tree: AdderTree, index: int) -> Value:
        weights = self._joined(index) if self.shape.field else self._weight(index)
        code, registered = self._operand(m, index), tree.register(weights, f"w{index}")
        product = shifted_sum(code, registered) if self.shape.fabric else code * registered
        return tree.register(product, f"product{index}")

    def _sum(self, m: Module) -> Value:
        """The sum of a single column."""
        tree = AdderTree(m, self.enable, self.shape.acc_bits, self.shape.summing.radix)
        return tree.total(self.partial_sums(m, tree, range(self.shape.inputs)), "sum")

    def _joined(self, index: int) -> Value:
        """Both columns' weights or codes in one operand; codes without a sign need no adder for that."""
        part, field = self._code if self.shape.pixels else self._weight, self.shape.field
        low, high = part(index), part(index, 1)
        if not low.shape().signed:
            return Cat(low, C(0, field - len(low)), high, C(0, 1))
        return (high << field) + low

    def _packed_sums(self, m: Module) -> list[Value]:
        """The sums of two columns; one multiplier and one adder tree for both, taken apart once a chunk."""
        shape, field, summing = self.shape, self.shape.field, self.shape.summing
        packed = AdderTree(m, self.enable, field + shape.acc_bits, summing.radix)
        lows, highs = [], []
        for start in range(0, shape.inputs, shape.chunk):
            chunk = range(start, min(start + shape.chunk, shape.inputs))
            total = packed.total(self.partial_sums(m, packed, chunk), f"packed{start}_", summing.levels)
            low = total[:field].as_signed()
            # A negative lower field has borrowed one from the upper.
            lows.append(low)
            highs.append(total[field:].as_signed() + low[field - 1])
        single = AdderTree(m, self.enable, shape.acc_bits, summing.radix)
        return [single.total(lows, "low"), single.total(highs, "high")]
