"""ROMs as C++ text: weights in bytes, scales in 64-bit words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from deepdive.hardware.constants import Scales
from deepdive.hardware.stages import Requantizer
from deepdive.qnet.ops import Rounding

BYTE_TEXT = np.frombuffer(b"".join(b"%3d," % byte for byte in range(256)), dtype=np.uint8).reshape(256, 4)
"""Every byte as four characters: millions of weights become text by looking them up, in aligned columns."""

FACTOR_BITS = 17
"""Bits that a multiplier adds to an accumulator: 16 of its own, unsigned, and a sign."""


@dataclass(frozen=True, eq=False)
class Rom:
    """A constant array of the project.

    Parameters
    ----------
    name
        Its C++ name.
    words
        uint8 (depth, bytes a word), or uint64 (depth, words a row).
    ports
        One row a cycle, or any number of them.
    """

    name: str
    words: np.ndarray
    ports: Literal["1p", "np"] = "1p"

    @property
    def element(self) -> str:
        """C++ type of an element."""
        return "unsigned char" if self.words.dtype == np.uint8 else "deepdive::scale_word"

    @property
    def rows(self) -> list[str]:
        """The initializers of the rows, without braces."""
        if self.words.dtype == np.uint8:
            text = BYTE_TEXT[self.words].reshape(len(self.words), -1)[:, :-1]
            return [row.tobytes().decode() for row in np.ascontiguousarray(text)]
        return [", ".join(f"0x{word:014x}" for word in row) for row in self.words.tolist()]


def needed_bits(values: np.ndarray) -> int:
    """Bits that hold every one of `values` in two's complement, at least 2."""
    low, high = int(values.min()), int(values.max())
    return max(2, 1 + max(high if high >= 0 else ~high, low if low >= 0 else ~low).bit_length())


def container_bits(weight_bits: int) -> int:
    """Bits that a weight takes in a ROM, so that bytes hold a whole number of them; as in ``deepdive/weights.h``."""
    return next(bits for bits in (2, 4, 8, 16) if weight_bits <= bits)


def pack_weights(weights: np.ndarray, weight_bits: int) -> np.ndarray:
    """Signed weights (depth, count) to bytes (depth, bytes a word): the first weight lowest, little endian."""
    container = container_bits(weight_bits)
    codes = weights.reshape(len(weights), -1).astype(np.int64) & ((1 << container) - 1)
    if container == 16:
        return np.ascontiguousarray(codes, dtype="<u2").view(np.uint8)
    per_byte = 8 // container
    padded = np.pad(codes, ((0, 0), (0, -codes.shape[1] % per_byte)))
    places = np.arange(per_byte) * container
    return (padded.reshape(len(codes), -1, per_byte) << places).sum(axis=2).astype(np.uint8)


def drop_bits(shift: np.ndarray | int, how: Rounding, product_bits: int) -> np.ndarray:
    """Bits to drop before rounding, as in ``deepdive/requantize.h``: at most all but the product's sign."""
    return np.minimum(np.asarray(shift) - (how != "floor"), product_bits - 1)


def pack_scales(scales: Scales, requantizer: Requantizer) -> np.ndarray:
    """uint64 (rows, lanes): mult in bits 0-15, drop in 16-21, bias in 22-53; as in ``deepdive/requantize.h``."""
    drop = drop_bits(scales.shift, requantizer.rounding, requantizer.acc_bits + FACTOR_BITS)
    bias = scales.bias & 0xFFFFFFFF
    return (scales.mult | drop << 16 | bias << 22).astype(np.uint64)
