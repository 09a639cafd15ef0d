"""OpenCV's bilinear resize of 8-bit pictures, code for code: what networks that were fed by `cv::resize` expect.

It looks at the four nearest pixels, whatever the scale; nothing is blurred before it shrinks. Weights have 11 bits, and
the vertical pass drops bits as OpenCV's portable code (`resize.cpp`, `VResizeLinear` for uchar) does.
"""

from __future__ import annotations

import numpy as np

COEFFICIENT_BITS = 11


def resize_bilinear(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`pixels`, uint8 (height, width, channels), squashed or stretched to `size` = (height, width)."""
    (top, bottom), (above, below) = neighbours(pixels.shape[0], size[0])
    (left, right), (before, after) = neighbours(pixels.shape[1], size[1])
    # Rows first: only those that are looked at are ever widened from 8 bits.
    upper, lower = (
        (rows[:, left] * before[:, None] + rows[:, right] * after[:, None]) >> 4
        for rows in (pixels[top].astype(np.int64), pixels[bottom].astype(np.int64))
    )
    total = ((above[:, None, None] * upper) >> 16) + ((below[:, None, None] * lower) >> 16)
    return ((total + 2) >> 2).astype(np.uint8)


def neighbours(length: int, wanted: int) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """For each of `wanted` positions along a side of `length` pixels: the two nearest pixels, and their weights."""
    position = ((np.arange(wanted) + 0.5) * (length / wanted) - 0.5).astype(np.float32)
    first = np.floor(position).astype(np.int64)
    share = np.where((first < 0) | (first >= length - 1), np.float32(0), position - first)
    first = np.clip(first, 0, length - 1)
    weights = [np.rint(one * (1 << COEFFICIENT_BITS)).astype(np.int64) for one in (1 - share, share)]
    return (first, np.minimum(first + 1, length - 1)), (weights[0], weights[1])
