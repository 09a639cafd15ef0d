"""Fully connected layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepdive.errors import DeepDiveError
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops.conv import Conv, check_weights
from deepdive.qnet.ops.operator import OneInput
from deepdive.qnet.ops.requantize import Requantize


@dataclass(frozen=True, eq=False)
class Linear(OneInput):
    """Fully connected layer on a vector (1, 1, in_features); arithmetic and fields as `Conv`.

    `weight` is (out_features, in_features).
    """

    weight: np.ndarray
    weight_bits: int
    bias: np.ndarray
    requantize: Requantize
    weight_zero_point: np.ndarray

    def as_conv(self) -> Conv:
        """The same layer as a pointwise convolution on a 1x1 map."""
        return Conv(
            self.input,
            self.output,
            self.weight[:, None, None, :],
            self.weight_bits,
            self.bias,
            self.requantize,
            self.weight_zero_point,
        )

    def check(self, x: FeatureMap) -> None:
        check_weights(self.name, self.weight, self.weight_bits, self.bias, self.weight_zero_point, rank=2)
        if x.shape[:2] != (1, 1):
            raise DeepDiveError(f"'{self.name}': Linear reads {x.shape}; flatten or pool it to (1, 1, channels) first.")
        self.as_conv().check(x)

    def acc_range(self, x: FeatureMap) -> tuple[int, int]:
        """As `Conv.acc_range`."""
        return self.as_conv().acc_range(x)

    def macs(self) -> int:
        """Multiplications a frame."""
        return int(self.weight.size)
