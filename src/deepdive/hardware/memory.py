"""A memory inside a stage: its depth, width and banks, and the primitives that hold it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deepdive.hardware.resources import Resources

BRAM18_SHAPES = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36))
"""(depth, width) of a BRAM18 in simple dual-port mode: UG573, table 1-2 (512x36 is simple dual-port only)."""

URAM_SHAPE = 4096, 72
"""(depth, width) of an UltraRAM: UG573, chapter 2."""

LUTRAM_SHAPES = ((64, 7), (32, 14))
"""(depth, width) of the 8 LUTs of a SLICEM as a RAM with one write and one read port: RAM64M8, RAM32M16."""

LUTS_PER_BRAM18 = 129
"""What Yosys counts a BRAM18 for when it chooses a shape (its brams.txt for UltraScale)."""

MIXED_WIDTH, LEAST_WIDTH = 18, 9
"""Beside columns of so many bits Yosys puts a narrower one, of so many at least, for what is left of the width."""

JOINED = {5: 4, 6: 2, 9: 3}
"""LUTs a bit that choose between so many rows where `block_joining_luts` is wrong by one or two (*synthesised*)."""

LUTS_PER_BRAM36 = 200
"""A memory goes to LUTs while they are fewer than this for each block RAM saved: about what a device has of both."""


Storage = Literal["auto", "distributed", "block", "ultra"]


class Memory(BaseModel):
    """`banks` equal memories of `depth` words of `width` bits, one read and one write port each.

    `storage` names the primitive, or lets depth and size decide. UltraRAM (`ultra`) is never decided on here: only some
    boards have it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    depth: int = Field(ge=1)
    width: int = Field(ge=1)
    banks: int = Field(default=1, ge=1)
    read_only: bool = False
    storage: Storage = "auto"

    @model_validator(mode="after")
    def _contents(self) -> Memory:
        if self.read_only and self.storage == "ultra":
            raise ValueError(f"memory '{self.name}': a ROM in UltraRAM, which a bitstream cannot fill (UG573)")
        return self

    @property
    def bits(self) -> int:
        """Bits held, all banks."""
        return self.depth * self.width * self.banks

    @property
    def style(self) -> Literal["distributed", "block", "ultra"]:
        """Which primitive holds it."""
        if self.storage != "auto":
            return self.storage
        return "distributed" if self.luts_needed <= LUTS_PER_BRAM36 * self.bram36_needed else "block"

    @property
    def bram36(self) -> float:
        """Block RAMs; 0 for distributed memory."""
        return self.bram36_needed if self.style == "block" else 0.0

    @property
    def uram(self) -> int:
        """UltraRAMs; 0 for other memory."""
        rows, columns = self.ultra_rams
        return self.banks * rows * columns if self.style == "ultra" else 0

    @property
    def ultra_rams(self) -> tuple[int, int]:
        """UltraRAMs of a bank, below each other and side by side; those below each other are joined by LUTs."""
        depth, width = URAM_SHAPE
        return math.ceil(self.depth / depth), math.ceil(self.width / width)

    @property
    def lut(self) -> int:
        """LUTs of distributed memory; of block and UltraRAMs the multiplexers that join several below each other."""
        if self.style == "distributed":
            return self.luts_needed
        if self.style == "ultra":
            return self.banks * self.width * joining_luts(self.ultra_rams[0])
        rows, _ = block_rams(self.depth, self.width)
        rows = rows if rows % 2 else rows // 2
        return self.banks * self.width * JOINED.get(rows, block_joining_luts(rows))

    @property
    def bram36_needed(self) -> float:
        """Block RAMs that would hold it, in the best of the primitive's shapes."""
        _, count = block_rams(self.depth, self.width)
        return self.banks * count / 2

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
        return resources_of(self.depth, self.width, self.banks, self.read_only, self.storage)


@lru_cache(maxsize=1 << 17)
def resources_of(depth: int, width: int, banks: int, read_only: bool, storage: Storage) -> Resources:
    """Cost of a memory by its size: a search asks for the same ones over and over."""
    memory = Memory(name="memory", depth=depth, width=width, banks=banks, read_only=read_only, storage=storage)
    memory = memory.model_copy(update={"storage": memory.style})  # decided once
    return Resources(lut=memory.lut, bram36=memory.bram36, uram=memory.uram)


def joining_luts(rows: int) -> int:
    """LUTs a bit that choose between `rows` memories below each other.

    A LUT6 is a multiplexer of four; F7 and F8 join four of them to one of 16 (UG574).
    """
    luts = 0
    while rows > 1:
        luts, rows = luts + math.ceil(rows / 4), math.ceil(rows / 16)
    return luts


def block_joining_luts(rows: int) -> int:
    """LUTs a bit that choose between `rows` block RAMs below each other, as open synthesis maps them.

    Beyond four it finds few of the F7 and F8 multiplexers, and takes about half as many LUTs more (fitted).
    """
    luts = joining_luts(rows)
    return luts if luts <= 1 else math.ceil(1.5 * luts)


@lru_cache(maxsize=1 << 16)
def block_rams(depth: int, width: int) -> tuple[int, int]:
    """(rows, BRAM18s): one shape for as many full columns as there are, one block RAM wide what is left of the width.

    Two BRAM18s below each other are a BRAM36; more are joined by LUTs, so a shape with fewer of them may win against
    one that takes fewer block RAMs. Beside columns of less than `MIXED_WIDTH` bits stands another one of these.
    """
    choices = []
    below = [(-(-depth // d), w) for d, w in BRAM18_SHAPES]
    for rows, shape_width in below:
        columns, rest = divmod(width, shape_width)
        mixed = shape_width >= MIXED_WIDTH
        narrower = [deep for deep, w in below if w >= max(rest, LEAST_WIDTH)] if mixed else [rows]
        count = rows * columns + (min(narrower) if rest else 0)
        luts = width * block_joining_luts(rows if rows % 2 else rows // 2)
        choices.append((count * LUTS_PER_BRAM18 + luts, rows, count))
    _, rows, count = min(choices)
    return rows, count


def total(memories: Iterable[Memory]) -> Resources:
    """Cost of several memories."""
    return Resources.total(memory.resources for memory in memories)
