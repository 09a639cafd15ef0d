"""Mean over a whole map."""

from __future__ import annotations

from dataclasses import dataclass

from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops.limits import check_int32, check_shape
from deepdive.qnet.ops.requantize import Requantize


@dataclass(frozen=True, eq=False)
class GlobalAvgPool:
    """Mean over height and width: the sum of ``q - z``, requantized with 1/(H*W) inside mult and shift (shape (1,))."""

    input: str
    output: FeatureMap
    requantize: Requantize

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)

    @property
    def name(self) -> str:
        return self.output.name

    def check(self, x: FeatureMap) -> None:
        check_shape(self.name, self.output, (1, 1, x.shape[2]))
        self.requantize.check(self.name, self.output, 1, pools=True)
        check_int32(self.name, self.acc_range(x))

    def acc_range(self, x: FeatureMap) -> tuple[int, int]:
        """Smallest and largest partial sum."""
        pixels, zero = x.shape[0] * x.shape[1], x.zero_point_array
        return pixels * (x.q_min - int(zero.max())), pixels * (x.q_max - int(zero.min()))

    def macs(self) -> int:
        return 0
