"""How photographs become the input of a network from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from deepdive.errors import DeepDiveError
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.preprocess import Preprocess

Colours = tuple[float, float, float]


@dataclass(frozen=True)
class Photographs:
    """What the network saw in training: ``(pixel / 255 - mean) / std``, and pictures of it.

    Parameters
    ----------
    mean, std
        Of red, green and blue, for pixels from 0 to 1.
    resize_short, interpolation
        As in `Preprocess`.
    pictures
        Image files that show what the network will see; a float network is quantized with them.
    """

    mean: Colours = (0.0, 0.0, 0.0)
    std: Colours = (1.0, 1.0, 1.0)
    resize_short: int | None = None
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    pictures: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if not np.isfinite([*self.mean, *self.std]).all() or min(self.std) <= 0:
            raise DeepDiveError(f"mean {self.mean} and std {self.std} must be finite, and std positive")

    def reals(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels (..., 3), uint8, as the network's real numbers, float32."""
        return ((pixels / 255.0 - np.array(self.mean)) / np.array(self.std)).astype(np.float32)

    def preprocess(self, x: FeatureMap) -> Preprocess:
        """From photographs to the codes of the network's input.

        Raises
        ------
        DeepDiveError
            When the input is no unsigned RGB picture.
        """
        if x.shape[2] != 3 or x.signed:
            raise DeepDiveError(
                f"its input '{x.name}' {x.shape} is {'signed' if x.signed else 'no RGB picture'}; leave out the mean, "
                "std and images, and feed it codes"
            )
        reals = self.reals(np.repeat(np.arange(256)[:, None], 3, axis=1)).astype(np.float64)
        codes = np.clip(np.rint(reals / x.scale) + x.zero_point_array, x.q_min, x.q_max).astype(int)
        rows = tuple(tuple(int(code) for code in codes[:, channel]) for channel in range(3))
        return Preprocess(x.shape[:2], self.resize_short, self.interpolation, rows)
