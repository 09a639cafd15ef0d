"""Where a window (a convolution's or a pool's) lies on its input."""

from __future__ import annotations

from deepdive.errors import DeepDiveError
from deepdive.qnet.feature_map import MAX_ELEMENTS

Pair = tuple[int, int]
Sides = tuple[int, int, int, int]


def window_output(name: str, shape: tuple[int, int, int], kernel: Pair, stride: Pair, padding: Sides) -> Pair:
    """Height and width of what a window of `kernel` writes as it moves over a map of `shape`.

    Padding smaller than the kernel means that every window has at least one tap inside the map.

    Raises
    ------
    DeepDiveError
        When the window does not fit the map, or its padding would take more memory than any map may.
    """
    if len(kernel) != 2 or min(kernel) < 1:
        raise DeepDiveError(f"'{name}': kernel {kernel} must be two numbers >= 1.")
    if len(stride) != 2 or len(padding) != 4 or min(stride) < 1 or min(padding) < 0:
        raise DeepDiveError(f"'{name}': stride {stride} and padding {padding} must be >= 1 and >= 0.")
    top, left, bottom, right = padding
    if max(top, bottom) >= kernel[0] or max(left, right) >= kernel[1]:
        raise DeepDiveError(f"'{name}': padding {padding} must be smaller than the kernel {kernel}.")
    padded = shape[0] + top + bottom, shape[1] + left + right
    if padded[0] * padded[1] * shape[2] > MAX_ELEMENTS:
        raise DeepDiveError(
            f"'{name}': its padded input has {padded[0]}x{padded[1]} pixels; at most {MAX_ELEMENTS} codes are allowed."
        )
    if padded[0] < kernel[0] or padded[1] < kernel[1]:
        raise DeepDiveError(f"'{name}': kernel {kernel} is larger than its padded input {shape}.")
    return (padded[0] - kernel[0]) // stride[0] + 1, (padded[1] - kernel[1]) // stride[1] + 1
