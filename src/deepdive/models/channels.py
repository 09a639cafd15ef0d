"""How a width multiplier changes a number of channels."""

from __future__ import annotations


def scale_channels(channels: int, width: float, divisor: int = 8) -> int:
    """Return `channels * width` rounded to a multiple of `divisor`.

    Halves round up, and a result more than a tenth below the exact product takes the next multiple instead. Both
    MobileNetV2 (Sandler 2018) and EfficientNet (Tan 2019) scale this way.
    """
    exact = channels * width
    rounded = max(divisor, int(exact + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * exact else rounded
