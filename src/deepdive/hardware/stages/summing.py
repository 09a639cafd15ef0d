"""How a column sums its products: in cascades inside of the DSPs, then in an adder tree of LUTs.

A DSP48 computes ``P = (A + D) * B + PCIN`` (UG579, UG479): its pre-adder joins two weights, and its PCIN is the P of
the neighbour below, on wires of their own. A chain of them sums as many products without a LUT, one a clock cycle, so
that product i must come i cycles after the first. Two of those the DSP gives itself: a register behind the pre-adder,
with a second one at B, and a register behind the multiplier. The others are flip-flops.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

CHAIN = 4
"""Products of a chain at most: a quarter of the adder tree is left, and the operands of one product in four wait a
cycle in flip-flops. Every further product would wait a cycle more than the one before it, and columns of 64 inputs,
whose tree has four levels behind chains of 4, would be later than `MOST_CYCLES`."""

MOST_CYCLES = 9
"""A column's operands to their sum: with what a stage has in front and behind (fetch, accumulator, requantizer: 7)
`PIPELINE_CYCLES`."""

OWN_DELAYS = 2
"""Clock cycles by which a DSP's own registers delay its product."""


def tree_levels(operands: int, radix: int) -> int:
    """Registered levels of a tree whose levels join `radix` operands each."""
    levels = 0
    while operands > 1:
        operands, levels = -(-operands // radix), levels + 1
    return levels


@dataclass(frozen=True)
class Summing:
    """The order in which a column sums.

    Parameters
    ----------
    inputs
        Products of a cycle.
    chunk
        Products that are summed before packed sums are taken apart; all of them where nothing is packed.
    chain
        Products that DSPs sum; 1: none, each product is an operand of the tree.
    radix
        Operands of a level of the adder trees.
    """

    inputs: int
    chunk: int
    chain: int
    radix: int

    @property
    def chunks(self) -> int:
        """Sums that are taken apart."""
        return -(-self.inputs // self.chunk)

    @property
    def chains(self) -> int:
        """Operands of a chunk's adder tree."""
        return -(-self.chunk // self.chain)

    @property
    def levels(self) -> int:
        """Registered levels of a chunk's adder tree."""
        return tree_levels(self.chains, self.radix)

    @property
    def latency(self) -> int:
        """Enabled cycles from the operands to their sum: operand registers, products or chains, the trees."""
        return 1 + self.chain + self.levels + tree_levels(self.chunks, self.radix)

    @property
    def waits(self) -> int:
        """Cycles in flip-flops of all operands together."""
        return self.chunks * self.chains * sum(waits(position) for position in range(self.chain))


def waits(position: int) -> int:
    """Cycles in flip-flops of the operands of a chain's product."""
    return max(0, position - OWN_DELAYS)


@lru_cache(maxsize=1 << 14)
def in_cascades(inputs: int, chunk: int) -> Summing:
    """The longest chains of equal length whose sum keeps `MOST_CYCLES`, with two-input adders behind them if it can.

    One product a chain and four-input adders where nothing keeps it.
    """
    for most in range(CHAIN, 0, -1):
        chain = -(-chunk // -(-chunk // most))
        for radix in (2, 4):
            found = Summing(inputs, chunk, chain, radix)
            if found.latency <= MOST_CYCLES:
                return found
    return found
