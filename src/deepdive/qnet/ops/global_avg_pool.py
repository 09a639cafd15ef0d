"""Mean over a whole map."""

from __future__ import annotations

from dataclasses import dataclass

from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops.limits import check_int32, check_shape, sum_range
from deepdive.qnet.ops.operator import OneInput
from deepdive.qnet.ops.requantize import Requantize


@dataclass(frozen=True, eq=False)
class GlobalAvgPool(OneInput):
    """Mean over height and width: the sum of ``q - z``, requantized with 1/(H*W) inside mult and shift (shape (1,))."""

    requantize: Requantize

    def check(self, x: FeatureMap) -> None:
        check_shape(self.name, self.output, (1, 1, x.shape[2]))
        self.requantize.check(self.name, self.output, 1, pools=True)
        check_int32(self.name, self.acc_range(x))

    def acc_range(self, x: FeatureMap) -> tuple[int, int]:
        """Smallest and largest partial sum."""
        return sum_range(x, x.shape[0] * x.shape[1])
