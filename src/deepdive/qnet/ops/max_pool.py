"""Largest code of a window."""

from __future__ import annotations

from dataclasses import dataclass

from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops.limits import check_same_codes, check_shape
from deepdive.qnet.ops.operator import OneInput
from deepdive.qnet.ops.window import window_output


@dataclass(frozen=True, eq=False)
class MaxPool(OneInput):
    """The largest code of each window, among its taps inside the map; codes mean the same before and after.

    Parameters
    ----------
    kernel, stride
        (vertical, horizontal).
    padding
        (top, left, bottom, right), smaller than the kernel.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    def check(self, x: FeatureMap) -> None:
        height, width = window_output(self.name, x.shape, self.kernel, self.stride, self.padding)
        check_shape(self.name, self.output, (height, width, x.shape[2]))
        check_same_codes(self.name, x, self.output)
