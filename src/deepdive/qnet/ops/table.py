"""Any function of one code."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from deepdive.errors import DeepDiveError
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops.limits import check_shape
from deepdive.qnet.ops.operator import OneInput


@dataclass(frozen=True, eq=False)
class Table(OneInput):
    """One output code for each input code (hard-swish, sigmoid, ...).

    `values` holds ``2**bits`` output codes, the first for the smallest input code; its dtype is the output's.
    """

    values: np.ndarray = field(repr=False)

    def check(self, x: FeatureMap) -> None:
        check_shape(self.name, self.output, x.shape)
        if self.values.shape != (1 << x.bits,) or self.values.dtype != self.output.dtype:
            raise DeepDiveError(
                f"'{self.name}': table is {self.values.dtype}{self.values.shape}; "
                f"want {self.output.dtype}({1 << x.bits},)."
            )
        if self.values.min() < self.output.q_min or self.values.max() > self.output.q_max:
            raise DeepDiveError(f"'{self.name}': table holds codes outside {self.output.q_min}..{self.output.q_max}.")
