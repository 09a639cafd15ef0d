"""A memory inside a stage: its depth, width and banks, and the primitives that hold it."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

BRAM18_SHAPES = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36))
"""(depth, width) of a BRAM18 in simple dual-port mode: UG573, table 1-2 (512x36 is simple dual-port only)."""

LUTRAM_LIMIT_BITS = 64 * 64
"""Shallow memories go to distributed RAM: at most 64 deep, or so small that a BRAM18 would be nearly empty."""


class Memory(BaseModel):
    """`banks` equal memories of `depth` words of `width` bits, one read and one write port each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    depth: int = Field(ge=1)
    width: int = Field(ge=1)
    banks: int = Field(default=1, ge=1)
    read_only: bool = False

    @property
    def bits(self) -> int:
        return self.depth * self.width * self.banks

    @property
    def style(self) -> Literal["distributed", "block"]:
        """Which primitive holds it."""
        return "distributed" if self.depth <= 64 or self.depth * self.width <= LUTRAM_LIMIT_BITS else "block"

    @property
    def bram36(self) -> float:
        """Block RAMs, the best of the primitive's shapes; 0 for distributed RAM."""
        if self.style == "distributed":
            return 0.0
        best = min(math.ceil(self.depth / depth) * math.ceil(self.width / width) for depth, width in BRAM18_SHAPES)
        return self.banks * best / 2

    @property
    def lut(self) -> int:
        """LUTs of distributed RAM: 64 words of one bit a LUT6 for ROM, for RAM with its own read port as well."""
        if self.style == "block":
            return 0
        return self.banks * math.ceil(self.depth / 64) * self.width
