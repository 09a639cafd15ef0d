"""Convolution: dense, grouped, depthwise, pointwise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepdive.errors import DeepDiveError
from deepdive.qnet.feature_map import MAX_ELEMENTS, FeatureMap
from deepdive.qnet.ops.limits import check_int32, check_shape
from deepdive.qnet.ops.operator import OneInput
from deepdive.qnet.ops.requantize import Requantize
from deepdive.qnet.ops.window import window_output


@dataclass(frozen=True, eq=False)
class Conv(OneInput):
    """Dense, grouped, depthwise or pointwise convolution and its requantization.

    ``acc = sum((q_x - z_x) * (q_w - z_w)) + bias``; a tap in the padding holds the zero point and adds nothing.

    Parameters
    ----------
    input
        Name of the feature map read.
    weight
        Codes (out_channels, kernel_h, kernel_w, in_channels / groups), int8 or uint8, each within `weight_bits`.
    bias
        int32 (out_channels,).
    stride, padding
        (vertical, horizontal) and (top, left, bottom, right).
    weight_zero_point
        int16 (out_channels,); zeros for DeepDive's own symmetric weights.
    """

    weight: np.ndarray
    weight_bits: int
    bias: np.ndarray
    requantize: Requantize
    weight_zero_point: np.ndarray
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1

    @property
    def kernel(self) -> tuple[int, int]:
        """(height, width) of the filter."""
        return int(self.weight.shape[1]), int(self.weight.shape[2])

    @property
    def is_depthwise(self) -> bool:
        """One filter a channel: groups equals both channel counts."""
        return self.groups > 1 and self.groups == self.weight.shape[0] and self.weight.shape[3] == 1

    @property
    def is_pointwise(self) -> bool:
        return self.kernel == (1, 1) and self.stride == (1, 1) and self.groups == 1 and not any(self.padding)

    @property
    def centred_weight(self) -> np.ndarray:
        """int16 (out_channels, kernel_h, kernel_w, in_channels / groups): codes less their zero point."""
        return self.weight.astype(np.int16) - self.weight_zero_point[:, None, None, None]

    def check(self, x: FeatureMap) -> None:
        name = self.name
        check_weights(name, self.weight, self.weight_bits, self.bias, self.weight_zero_point, rank=4)
        out_channels, kh, kw, per_group = self.weight.shape
        if self.groups < 1 or x.shape[2] != per_group * self.groups or out_channels % self.groups:
            raise DeepDiveError(
                f"'{name}': weight {self.weight.shape} with {self.groups} groups "
                f"does not fit {x.shape[2]} input channels."
            )
        height, width = window_output(name, x.shape, (kh, kw), self.stride, self.padding)
        check_shape(name, self.output, (height, width, out_channels))
        self.requantize.check(name, self.output, out_channels)
        check_int32(name, self.acc_range(x))

    def acc_range(self, x: FeatureMap) -> tuple[int, int]:
        """Smallest and largest value that any partial sum can reach, proven from the weights and the codes of `x`."""
        out_channels, _, _, per_group = self.weight.shape
        zero = np.broadcast_to(x.zero_point_array, (x.shape[2],)).reshape(self.groups, per_group)
        group_of = np.repeat(np.arange(self.groups), out_channels // self.groups)
        # A code less its zero point reaches from low <= 0 to high >= 0.
        low, high = (x.q_min - zero.astype(np.int64))[group_of], (x.q_max - zero.astype(np.int64))[group_of]
        positive = np.maximum(self.centred_weight, 0).sum(axis=(1, 2), dtype=np.int64)
        negative = np.minimum(self.centred_weight, 0).sum(axis=(1, 2), dtype=np.int64)
        largest = (positive * high + negative * low).sum(axis=1) + np.maximum(self.bias, 0)
        smallest = (positive * low + negative * high).sum(axis=1) + np.minimum(self.bias, 0)
        return int(smallest.min()), int(largest.max())

    def macs(self) -> int:
        """Multiplications a frame, those with padding included."""
        height, width, _ = self.output.shape
        return height * width * int(self.weight.size)


def check_weights(
    name: str, weight: np.ndarray, bits: int, bias: np.ndarray, zero_point: np.ndarray, *, rank: int
) -> None:
    """Refuse weights, bias or weight zero points of a wrong type, shape or range."""
    if not 2 <= bits <= 8:
        raise DeepDiveError(f"'{name}': weights have {bits} bits; choose 2 to 8.")
    if weight.ndim != rank or weight.dtype not in (np.int8, np.uint8) or not 0 < weight.size <= MAX_ELEMENTS:
        raise DeepDiveError(f"'{name}': weight is {weight.dtype}{weight.shape}; want {rank}-D int8 or uint8.")
    signed = weight.dtype == np.int8
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if weight.min() < low or weight.max() > high:
        raise DeepDiveError(
            f"'{name}': weight codes {weight.min()}..{weight.max()} exceed {bits} bits ({low}..{high})."
        )
    if bias.dtype != np.int32 or bias.shape != weight.shape[:1]:
        raise DeepDiveError(f"'{name}': bias is {bias.dtype}{bias.shape}; want int32({weight.shape[0]},).")
    if zero_point.dtype != np.int16 or zero_point.shape != weight.shape[:1]:
        raise DeepDiveError(
            f"'{name}': weight zero point is {zero_point.dtype}{zero_point.shape}; want int16({weight.shape[0]},)."
        )
    if zero_point.min() < low or zero_point.max() > high:
        raise DeepDiveError(f"'{name}': a weight zero point lies outside the weight codes {low}..{high}.")
