"""From accumulators to codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from deepdive.errors import DeepDiveError
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops.limits import check_clip

Rounding = Literal["half_up", "floor", "half_even"]
MAX_SHIFT = 48  # acc (32 bits) * mult (16 bits): beyond 48 every product rounds to nothing


@dataclass(frozen=True, eq=False)
class Requantize:
    """From an int32 accumulator to codes: ``clip(((acc * mult + half) >> shift) + zero_point, q_min, q_max)``.

    Parameters
    ----------
    mult
        uint16, one per output channel, or shape (1,) for the tensor.
    shift
        uint8, 1..48, same shape; ``half`` is ``1 << (shift - 1)``, or 0 when `rounding` is ``"floor"``.
    q_min, q_max
        The clip: all of ReLU and ReLU6.
    rounding
        ``"half_even"`` is for the pools of imported networks alone: as half-up, but what lies exactly between two codes
        goes to the even number (before the zero point is added).
    """

    mult: np.ndarray
    shift: np.ndarray
    q_min: int
    q_max: int
    rounding: Rounding = "half_up"

    def check(self, name: str, output: FeatureMap, channels: int, *, pools: bool = False) -> None:
        """Refuse, naming the node, what the contract does not allow; `pools` is True for means alone."""
        for label, values, dtype in (("mult", self.mult, np.uint16), ("shift", self.shift, np.uint8)):
            if values.dtype != dtype or values.shape not in ((1,), (channels,)):
                raise DeepDiveError(
                    f"'{name}': {label} is {values.dtype}{values.shape}; "
                    f"want {np.dtype(dtype)} of shape (1,) or ({channels},)."
                )
        if self.mult.shape != self.shift.shape:
            raise DeepDiveError(
                f"'{name}': mult has shape {self.mult.shape} but shift {self.shift.shape}; make them equal."
            )
        if self.shift.min() < 1 or self.shift.max() > MAX_SHIFT:
            raise DeepDiveError(f"'{name}': shift {self.shift.min()}..{self.shift.max()} is outside 1..{MAX_SHIFT}.")
        if self.rounding == "half_even" and not pools:
            raise DeepDiveError(f"'{name}': rounding 'half_even' is for pools alone; use 'half_up' or 'floor'.")
        if self.rounding not in ("half_up", "floor", "half_even"):
            raise DeepDiveError(f"'{name}': rounding '{self.rounding}' is unknown; use 'half_up' or 'floor'.")
        check_clip(name, self.q_min, self.q_max, output)
