"""A frame of zeros."""

from __future__ import annotations

from dataclasses import dataclass

from deepdive.errors import DeepDiveError
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops.limits import check_same_codes, check_shape
from deepdive.qnet.ops.operator import OneInput


@dataclass(frozen=True, eq=False)
class Pad(OneInput):
    """The map within a frame of its zero point; `padding` is (top, left, bottom, right).

    Only for what a window's own padding cannot say: a frame as wide as the kernel, or one that several operators read.
    """

    padding: tuple[int, int, int, int]

    def check(self, x: FeatureMap) -> None:
        if len(self.padding) != 4 or min(self.padding) < 0:
            raise DeepDiveError(f"'{self.name}': padding {self.padding} must be four numbers >= 0.")
        top, left, bottom, right = self.padding
        height, width, channels = x.shape
        check_shape(self.name, self.output, (height + top + bottom, width + left + right, channels))
        check_same_codes(self.name, x, self.output)
