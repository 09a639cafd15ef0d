"""Real factors as integer multiplier and shift."""

from __future__ import annotations

import numpy as np

from deepdive.qnet.ops import MAX_SHIFT

MULT_BITS = 16
MAX_MULT = (1 << MULT_BITS) - 1


def dyadic(factor: np.ndarray, shift: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The nearest ``mult / 2**shift`` to each of `factor` (float64, >= 0): uint16 and uint8 of its shape.

    Without a given `shift`, mult is in [2**15, 2**16) where the shift's range 1..48 allows it. A factor beyond 32767.5
    is cut to it; one below 2**-49 becomes 0.
    """
    factor = np.asarray(factor, dtype=np.float64)
    if shift is None:
        _, exponent = np.frexp(factor)
        shift = np.clip(MULT_BITS - exponent, 1, MAX_SHIFT)
        overflow = (np.rint(np.ldexp(factor, shift)) > MAX_MULT) & (shift > 1)  # 65535.7 rounds to 65536
        shift = np.where(overflow, shift - 1, shift)
    mult = np.clip(np.rint(np.ldexp(factor, shift)), 0, MAX_MULT)
    return mult.astype(np.uint16), np.asarray(shift).astype(np.uint8)
