"""A pipelined adder tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Module, Shape, Signal, Value, signed

RADIX = 4
"""Operands that a level of a tree joins before a register: two levels of two-input operators a clock cycle."""


@dataclass(frozen=True)
class AdderTree:
    """Adds trees to a module; every register moves with `enable` and is `most_bits` wide at most (sums wrap).

    With `radix` 2 every adder is a carry chain of a LUT a bit with a register behind it; synthesis turns the four
    operands of `RADIX` into carry-save adders, two thirds more LUTs for half the levels.
    """

    module: Module
    enable: Value
    most_bits: int
    radix: int = RADIX

    def register(self, value: Value, name: str) -> Signal:
        """`value` an enabled clock cycle later, signed."""
        width = min(Shape.cast(value.shape()).width, self.most_bits)
        register = Signal(signed(width), name=name, reset_less=True)
        with self.module.If(self.enable):
            self.module.d.sync += register.eq(value)
        return register

    def total(self, operands: Sequence[Value], name: str, levels: int = 0) -> Value:
        """The sum of signed `operands`, `tree_levels` enabled cycles later, or `levels` when that is more."""
        operands = list(operands)
        level = 0
        while len(operands) > 1 or level < levels:
            groups = [operands[i : i + self.radix] for i in range(0, len(operands), self.radix)]
            operands = [self.register(balanced(group), f"{name}{level}_{i}") for i, group in enumerate(groups)]
            level += 1
        return operands[0]


def balanced(values: Sequence[Value]) -> Value:
    """Sum of values, two and two."""
    if len(values) == 1:
        return values[0]
    half = (len(values) + 1) // 2
    return balanced(values[:half]) + balanced(values[half:])
