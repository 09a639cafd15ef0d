"""The type of a feature map: its shape and what its integer codes mean."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from deepdive.errors import DeepDiveError

MAX_ELEMENTS = 1 << 28
"""No feature map or weight array of a network may hold more elements: sizes are checked before memory is taken."""
MAX_NAME = 1000


@dataclass(frozen=True)
class FeatureMap:
    """A tensor of integer codes; real value = ``scale * (code - zero_point)``.

    Parameters
    ----------
    name
        Unique in its network.
    shape
        (height, width, channels); a vector is (1, 1, channels). The batch is never part of it.
    bits, signed
        2..8; codes run over ``[q_min, q_max]``.
    scale
        Real value of one code step, finite and positive.
    zero_point
        The code of real zero, one for the tensor, or (network input only) one a channel.
    """

    name: str
    shape: tuple[int, int, int]
    bits: int = 8
    signed: bool = False
    scale: float = 1.0
    zero_point: int | tuple[int, ...] = 0

    def __post_init__(self) -> None:
        if not self.name:
            raise DeepDiveError("A feature map has an empty name; give every tensor a name.")
        if not self.name.isprintable() or len(self.name) > MAX_NAME:
            raise DeepDiveError(f"Feature map {self.name!r:.80} wants a name of 1 to {MAX_NAME} printable characters.")
        if len(self.shape) != 3 or any(not isinstance(n, int) or n < 1 for n in self.shape):
            raise DeepDiveError(
                f"Feature map '{self.name}' has shape {self.shape}; want (height, width, channels) >= 1."
            )
        if math.prod(self.shape) > MAX_ELEMENTS:
            raise DeepDiveError(
                f"Feature map '{self.name}' has {math.prod(self.shape)} elements; at most {MAX_ELEMENTS} are allowed."
            )
        if not 2 <= self.bits <= 8:
            raise DeepDiveError(f"Feature map '{self.name}' has {self.bits} bits; choose 2 to 8.")
        # Plain numbers, so that feature maps are still equal after a trip through a file.
        object.__setattr__(self, "scale", float(self.scale))
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise DeepDiveError(f"Feature map '{self.name}' has scale {self.scale}; it must be finite and positive.")
        points = tuple(int(z) for z in self.zero_points)
        object.__setattr__(self, "zero_point", points if len(points) > 1 else points[0] if points else ())
        if len(points) not in (1, self.shape[2]):
            raise DeepDiveError(
                f"Feature map '{self.name}' has {len(points)} zero points; want 1 or {self.shape[2]} (one a channel)."
            )
        if any(not self.q_min <= z <= self.q_max for z in points):
            raise DeepDiveError(
                f"Feature map '{self.name}' has zero point {self.zero_point} outside its codes "
                f"{self.q_min}..{self.q_max}."
            )

    @property
    def q_min(self) -> int:
        """Smallest code."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def q_max(self) -> int:
        """Largest code."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def dtype(self) -> np.dtype[np.int8] | np.dtype[np.uint8]:
        """NumPy type that holds the codes."""
        return np.dtype(np.int8) if self.signed else np.dtype(np.uint8)

    @property
    def zero_points(self) -> tuple[int, ...]:
        """The zero point as a tuple of length 1, or of one a channel."""
        return self.zero_point if isinstance(self.zero_point, tuple) else (self.zero_point,)

    @property
    def zero_point_array(self) -> np.ndarray:
        """The zero point as int32, shape (1,) or (channels,): broadcasts over NHWC codes."""
        return np.asarray(self.zero_points, dtype=np.int32)

    @property
    def uniform_zero_point(self) -> int:
        """The one zero point of a tensor that has no per-channel ones."""
        if len(set(self.zero_points)) != 1:
            raise DeepDiveError(f"Feature map '{self.name}' has a zero point per channel; only a network input may.")
        return self.zero_points[0]

    def dequantize(self, codes: np.ndarray) -> np.ndarray:
        """Codes (..., channels) to real values, float64."""
        return self.scale * (codes.astype(np.int32) - self.zero_point_array)
