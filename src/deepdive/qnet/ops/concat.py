"""Two maps side by side in one."""

from __future__ import annotations

from dataclasses import dataclass

from deepdive.errors import DeepDiveError
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops.limits import check_same_codes, check_shape
from deepdive.qnet.ops.operator import TwoInputs


@dataclass(frozen=True, eq=False)
class Concat(TwoInputs):
    """The channels of the first map, then those of the second; more maps are a chain of these.

    All codes mean the same: a `Table` in front brings a map to another scale or zero point.
    """

    def check(self, a: FeatureMap, b: FeatureMap) -> None:
        if a.shape[:2] != b.shape[:2]:
            raise DeepDiveError(f"'{self.name}': joins {a.shape} and {b.shape}; height and width must be equal.")
        check_shape(self.name, self.output, (*a.shape[:2], a.shape[2] + b.shape[2]))
        check_same_codes(self.name, a, self.output)
        check_same_codes(self.name, b, self.output)
