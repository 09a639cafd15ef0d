"""Mean of a window."""

from __future__ import annotations

from dataclasses import dataclass

from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops.limits import check_int32, check_shape, sum_range
from deepdive.qnet.ops.operator import OneInput
from deepdive.qnet.ops.requantize import Requantize
from deepdive.qnet.ops.window import window_output


@dataclass(frozen=True, eq=False)
class AvgPool(OneInput):
    """The sum of ``q - z`` over each window's taps inside the map, requantized with the division inside mult and shift.

    Parameters
    ----------
    kernel, stride, padding
        As in `MaxPool`.
    requantize
        mult and shift of shape (1,): every window is divided by the same number, kernel height times width, so that
        padding counts as zeros. Or of shape (kernel height * width,): entry ``n - 1`` is for windows with ``n`` taps
        inside the map, so that padding does not count.
    """

    requantize: Requantize
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    def check(self, x: FeatureMap) -> None:
        height, width = window_output(self.name, x.shape, self.kernel, self.stride, self.padding)
        check_shape(self.name, self.output, (height, width, x.shape[2]))
        self.requantize.check(self.name, self.output, self.kernel[0] * self.kernel[1], pools=True)
        check_int32(self.name, self.acc_range(x))

    def acc_range(self, x: FeatureMap) -> tuple[int, int]:
        """Smallest and largest partial sum."""
        return sum_range(x, self.kernel[0] * self.kernel[1])
