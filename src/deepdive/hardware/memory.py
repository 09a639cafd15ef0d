"""A memory inside a stage: its depth, width and banks, and the primitives that hold it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from deepdive.hardware.resources import Resources

BRAM18_SHAPES = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36))
"""(depth, width) of a BRAM18 in simple dual-port mode: UG573, table 1-2 (512x36 is simple dual-port only)."""

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
        """LUTs of distributed memory; 0 for block RAM."""
        return self.luts_needed if self.style == "distributed" else 0

    @property
    def bram36_needed(self) -> float:
        """Block RAMs that would hold it, in the best of the primitive's shapes."""
        best = min(math.ceil(self.depth / depth) * math.ceil(self.width / width) for depth, width in BRAM18_SHAPES)
        return self.banks * best / 2

    @property
    def luts_needed(self) -> int:
        """LUTs that would hold it.

        A LUT6 is 64 words of one bit. F7 and F8 multiplexers join four of them for nothing (UG574, ROM256X1); deeper
        ones cost a LUT6 for every 4:1 multiplexer. A RAM with a read port of its own has 7 bits in the 8 LUTs of a
        SLICEM (UG574, RAM64M8), the eighth feeding the write address.
        """
        cells = math.ceil(self.depth / 64)
        multiplexers = math.ceil((math.ceil(self.depth / 256) - 1) / 3)
        port = 0 if self.read_only else math.ceil(self.width / 7) * cells
        return self.banks * ((cells + multiplexers) * self.width + port)

    @property
    def resources(self) -> Resources:
        """Cost of all banks."""
        return Resources(lut=self.lut, bram36=self.bram36)


def total(memories: Iterable[Memory]) -> Resources:
    """Cost of several memories."""
    return sum((memory.resources for memory in memories), Resources())
