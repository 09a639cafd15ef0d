"""One column of a multiplier array: products, a pipelined adder tree, an accumulator."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Module, Mux, Shape, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

RADIX = 4
"""Operands that an adder level sums before a register: two levels of two-input adders a clock cycle."""


@dataclass(frozen=True)
class MacShape:
    """What a column computes: ``sum(x[i] * w[i])`` over `inputs` products a cycle, modulo ``2**acc_bits``."""

    inputs: int
    x_bits: int
    x_signed: bool
    w_bits: int
    acc_bits: int
    accumulate: bool

    @property
    def name(self) -> str:
        """Names the column's Verilog module: equal shapes share one."""
        sign = "s" if self.x_signed else "u"
        tail = "_accumulate" if self.accumulate else ""
        return f"deepdive_mac_{self.inputs}x{sign}{self.x_bits}_w{self.w_bits}_acc{self.acc_bits}{tail}"

    @property
    def tree_levels(self) -> int:
        """Registered levels of the adder tree."""
        levels, operands = 0, self.inputs
        while operands > 1:
            operands, levels = -(-operands // RADIX), levels + 1
        return levels

    @property
    def sum_latency(self) -> int:
        """Enabled cycles from the operands to their sum: operand registers, product registers, the tree."""
        return 2 + self.tree_levels

    @property
    def latency(self) -> int:
        """Enabled cycles from the operands to `acc`."""
        return self.sum_latency + self.accumulate


class MacColumn(wiring.Component):
    """The hardware of a `MacShape`.

    Attributes
    ----------
    enable
        The pipeline moves.
    x, w
        Operands, `inputs` of each, lowest first; w is signed.
    add, clear
        At the accumulator, `MacShape.sum_latency` cycles after the operands: take this sum; forget the sums before it.
    acc
        The accumulator (the sum itself where nothing accumulates).
    """

    def __init__(self, shape: MacShape) -> None:
        members = {
            "enable": In(1),
            "x": In(shape.inputs * shape.x_bits),
            "w": In(shape.inputs * shape.w_bits),
            "acc": Out(signed(shape.acc_bits)),
        }
        if shape.accumulate:
            members |= {"add": In(1), "clear": In(1)}
        super().__init__(members)
        self.shape = shape

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.shape
        x, w = Signal.like(self.x, reset_less=True, name="x_r"), Signal.like(self.w, reset_less=True, name="w_r")
        with m.If(self.enable):
            m.d.sync += [x.eq(self.x), w.eq(self.w)]
        products = []
        for index in range(shape.inputs):
            code = x.word_select(index, shape.x_bits)
            weight = w.word_select(index, shape.w_bits).as_signed()
            product = (code.as_signed() if shape.x_signed else code) * weight
            products.append(self._register(m, product, f"product{index}"))
        total = self._tree(m, products)
        if not shape.accumulate:
            m.d.comb += self.acc.eq(total)
            return m
        with m.If(self.enable & self.add):
            m.d.sync += self.acc.eq(Mux(self.clear, 0, self.acc) + total)
        return m

    def _register(self, m: Module, value: Value, name: str) -> Signal:
        width = min(Shape.cast(value.shape()).width, self.shape.acc_bits)
        register = Signal(signed(width), name=name, reset_less=True)
        with m.If(self.enable):
            m.d.sync += register.eq(value)
        return register

    def _tree(self, m: Module, operands: list[Signal]) -> Signal:
        level = 0
        while len(operands) > 1:
            groups = [operands[i : i + RADIX] for i in range(0, len(operands), RADIX)]
            operands = [self._register(m, balanced(group), f"sum{level}_{i}") for i, group in enumerate(groups)]
            level += 1
        return operands[0]


def balanced(values: list[Value]) -> Value:
    """Sum of up to four values, two and two."""
    if len(values) == 1:
        return values[0]
    half = (len(values) + 1) // 2
    return balanced(values[:half]) + balanced(values[half:])
