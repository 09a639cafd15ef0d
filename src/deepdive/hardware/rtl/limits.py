"""Numbers by which a component counts: constants of a streamed stage, or what a shared unit is told of each block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from amaranth.hdl import Value

from deepdive.hardware.rtl.memories import field_bits, signed_bits

Limit: TypeAlias = int | Value
"""A constant, or a field of the descriptor of the block at hand."""


class Limits:
    """One mapping of names to integers for every block; a number that all of them agree on is a constant.

    The others are fields of a word of `width` bits, two's complement where any is negative, the first one lowest.
    """

    def __init__(self, blocks: Sequence[Mapping[str, int]]) -> None:
        self.blocks = [dict(block) for block in blocks]
        self.fields: dict[str, tuple[int, int, bool]] = {}
        start = 0
        for name in self.blocks[0]:
            if self.least(name) != self.most(name):
                values = self._values(name)
                signed = bool(values.min() < 0)
                bits = signed_bits(values) if signed else int(values.max()).bit_length()
                self.fields[name] = start, bits, signed
                start += bits
        self.width = start

    def _values(self, name: str) -> np.ndarray:
        return np.array([block[name] for block in self.blocks], dtype=np.int64)

    def ends(self, name: str) -> np.ndarray:
        """int64: the smallest and the largest of all blocks."""
        return np.array([self.least(name), self.most(name)])

    def most(self, name: str) -> int:
        """The largest of all blocks."""
        return int(self._values(name).max())

    def least(self, name: str) -> int:
        """The smallest of all blocks."""
        return int(self._values(name).min())

    def values(self, word: Value | None) -> dict[str, Limit]:
        """Every number by name, the fields out of a descriptor's word."""
        found: dict[str, Limit] = dict(self.blocks[0])
        for name, (start, bits, signed) in self.fields.items():
            assert word is not None
            field = word[start : start + bits]
            found[name] = field.as_signed() if signed else field
        return found

    def bits(self) -> np.ndarray:
        """uint8 (blocks, width) of zeros and ones: the words."""
        planes = [field_bits(self._values(name), max(bits, 1)) for name, (_, bits, _) in self.fields.items()]
        return np.concatenate(planes, axis=1) if planes else np.zeros((len(self.blocks), 0), dtype=np.uint8)
