"""A map as a vector."""

from __future__ import annotations

from dataclasses import dataclass

from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops.limits import check_same_codes, check_shape
from deepdive.qnet.ops.operator import OneInput


@dataclass(frozen=True, eq=False)
class Flatten(OneInput):
    """All codes in the order in which a map travels: row by row, pixel by pixel, channels innermost.

    PyTorch and ONNX flatten channels outermost; whoever brings such a network permutes the next layer's weights.
    """

    def check(self, x: FeatureMap) -> None:
        check_shape(self.name, self.output, (1, 1, x.shape[0] * x.shape[1] * x.shape[2]))
        check_same_codes(self.name, x, self.output)
