"""A memory inside a stage: its depth, width and banks, and the primitives that hold it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from deepdive.hardware.resources import Resources

BRAM18_SHAPES = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36))
"""(depth, width) of a BRAM18 in simple dual-port mode: UG573, table 1-2 (512x36 is simple dual-port only)."""

LUTRAM_SHAPES = ((64, 7), (32, 14))
"""(depth, width) of the 8 LUTs of a SLICEM as a RAM with one write and one read port: RAM64M8, RAM32M16."""

LUTS_PER_BRAM36 = 200
"""A memory goes to LUTs while they are fewer than this for each block RAM saved: about what a device has of both."""


class Memory(BaseModel):
    """`banks` equal memories of `depth` words of `width` bits, one read and one write port each.

    `storage` names the primitive, or lets depth and size decide.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    depth: int = Field(ge=1)
    width: int = Field(ge=1)
    banks: int = Field(default=1, ge=1)
    read_only: bool = False
    storage: Literal["auto", "distributed", "block"] = "auto"

    @property
    def bits(self) -> int:
        """Bits held, all banks."""
        return self.depth * self.width * self.banks

    @property
    def style(self) -> Literal["distributed", "block"]:
        """Which primitive holds it."""
        if self.storage != "auto":
            return self.storage
        return "distributed" if self.luts_needed <= LUTS_PER_BRAM36 * self.bram36_needed else "block"

    @property
    def bram36(self) -> float:
        """Block RAMs; 0 for distributed memory."""
        return self.bram36_needed if self.style == "block" else 0.0

    @property
    def lut(self) -> int:
        """LUTs of distributed memory; of block RAMs the multiplexers that join several below each other."""
        if self.style == "distributed":
            return self.luts_needed
        rows, _ = self._block_shape
        return self.banks * self.width * joining_luts(rows)

    @property
    def bram36_needed(self) -> float:
        """Block RAMs that would hold it, in the best of the primitive's shapes."""
        rows, columns = self._block_shape
        return self.banks * rows * columns / 2

    @property
    def _block_shape(self) -> tuple[int, int]:
        """How many BRAM18 stand below and beside each other."""
        shapes = [(math.ceil(self.depth / depth), math.ceil(self.width / width)) for depth, width in BRAM18_SHAPES]
        return min(shapes, key=lambda shape: (shape[0] * shape[1], shape[0]))

    @property
    def luts_needed(self) -> int:
        """LUTs that would hold it.

        A LUT6 is 64 words of one bit of a ROM. F7 and F8 multiplexers join four of them for nothing (UG574, ROM256X1).
        Bits that are equal in every word share their LUT, and there are only ``2**depth`` different ones.
        A RAM with a read port of its own has 14 bits of 32 words in the 8 LUTs of a SLICEM (UG574, RAM32M16), or 7 bits
        of 64 words (RAM64M8), the eighth feeding the write address. A RAM of one word is a register.
        """
        if self.read_only:
            luts = math.ceil(self.depth / 64) + joining_luts(math.ceil(self.depth / 256))
            return self.banks * min(luts * self.width, 1 << min(self.depth, 62))
        if self.depth == 1:
            return 0
        shapes = [(math.ceil(self.depth / depth), math.ceil(self.width / width)) for depth, width in LUTRAM_SHAPES]
        rows, columns = min(shapes, key=lambda shape: (shape[0] * shape[1], shape[0]))
        return self.banks * (8 * rows * columns + self.width * joining_luts(rows))

    @property
    def resources(self) -> Resources:
        """Cost of all banks."""
        return Resources(lut=self.lut, bram36=self.bram36)


def joining_luts(rows: int) -> int:
    """LUTs a bit that choose between `rows` memories below each other: a LUT6 is a multiplexer of four."""
    return math.ceil((rows - 1) / 3)


def total(memories: Iterable[Memory]) -> Resources:
    """Cost of several memories."""
    return sum((memory.resources for memory in memories), Resources())
