"""Residual add."""

from __future__ import annotations

from dataclasses import dataclass

from deepdive.errors import DeepDiveError
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops.limits import check_clip, check_shape
from deepdive.qnet.ops.operator import TwoInputs
from deepdive.qnet.ops.requantize import MAX_SHIFT, Rounding


@dataclass(frozen=True, eq=False)
class Add(TwoInputs):
    """Residual add of two maps of one shape: ``clip((((q_a - z_a) * m_a + (q_b - z_b) * m_b + half) >> s) + z_y)``."""

    mult: tuple[int, int]
    shift: int
    q_min: int
    q_max: int
    rounding: Rounding = "half_up"

    def check(self, a: FeatureMap, b: FeatureMap) -> None:
        if a.shape != b.shape:
            raise DeepDiveError(f"'{self.name}': adds {a.shape} and {b.shape}; shapes must be equal.")
        check_shape(self.name, self.output, a.shape)
        if any(not 0 <= m < 1 << 16 for m in self.mult) or not 1 <= self.shift <= MAX_SHIFT:
            raise DeepDiveError(
                f"'{self.name}': mult {self.mult}, shift {self.shift} outside 0..65535, 1..{MAX_SHIFT}."
            )
        if self.rounding not in ("half_up", "floor"):
            raise DeepDiveError(f"'{self.name}': rounding '{self.rounding}' is unknown; use 'half_up' or 'floor'.")
        check_clip(self.name, self.q_min, self.q_max, self.output)
