"""The product of squeeze-excite."""

from __future__ import annotations

from dataclasses import dataclass

from deepdive.errors import DeepDiveError
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops.limits import check_shape
from deepdive.qnet.ops.operator import TwoInputs
from deepdive.qnet.ops.requantize import Requantize


@dataclass(frozen=True, eq=False)
class ChannelScale(TwoInputs):
    """Squeeze-excite: every pixel times one factor a channel, ``acc = (q_x - z_x) * (q_s - z_s)``, requantized.

    ``inputs`` are the map (H, W, C) and the factors (1, 1, C).
    """

    requantize: Requantize

    def check(self, x: FeatureMap, factors: FeatureMap) -> None:
        if factors.shape != (1, 1, x.shape[2]):
            raise DeepDiveError(f"'{self.name}': factors have shape {factors.shape}; want (1, 1, {x.shape[2]}).")
        check_shape(self.name, self.output, x.shape)
        self.requantize.check(self.name, self.output, 1)

    def macs(self) -> int:
        height, width, channels = self.output.shape
        return height * width * channels
