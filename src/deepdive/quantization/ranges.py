"""Which range of real values the codes of a feature map shall cover: observed, then chosen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from deepdive.errors import DeepDiveError

Method = Literal["minmax", "percentile", "mse"]
METHODS = ("minmax", "percentile", "mse")
BINS = 1024
CANDIDATES = 400  # ranges that the search for the least error tries
SMALLEST = 0.3  # of the full range, each side


@dataclass(frozen=True)
class RangeMethod:
    """How to choose a range.

    Parameters
    ----------
    method
        ``minmax`` covers every value seen, ``percentile`` leaves out the rarest, ``mse`` has the least squared error.
    percentile
        Share of the values to cover, in percent.
    """

    method: Method = "mse"
    percentile: float = 99.99

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise DeepDiveError(f"Range method '{self.method}' is unknown; use {', '.join(METHODS)}.")
        if not 50 < self.percentile <= 100:
            raise DeepDiveError(f"Percentile {self.percentile} is outside 50..100.")


class RangeObserver:
    """Extremes first, then (a second pass over the same values) a histogram between them."""

    def __init__(self) -> None:
        self.low, self.high = float("inf"), float("-inf")
        self.finite = True
        self.counts = torch.zeros(BINS, dtype=torch.float64)

    def see_extremes(self, x: Tensor) -> None:
        """First pass."""
        low, high = float(x.min()), float(x.max())  # NaN if one value is
        self.finite = self.finite and math.isfinite(low) and math.isfinite(high)
        self.low, self.high = min(self.low, low), max(self.high, high)

    def see_values(self, x: Tensor) -> None:
        """Second pass."""
        if self.high > self.low:
            self.counts += torch.histc(x.float(), BINS, self.low, self.high).double().cpu()

    @property
    def centres(self) -> Tensor:
        """The middle of each bin."""
        width = (self.high - self.low) / BINS
        return self.low + width * (torch.arange(BINS, dtype=torch.float64) + 0.5)

    def choose(self, how: RangeMethod, bits: int) -> tuple[float, float]:
        """The range (low, high) for codes of `bits` bits; it holds zero."""
        if not self.high > self.low or how.method == "minmax":
            return min(self.low, 0.0), max(self.high, 0.0)
        return self.percentile(how.percentile) if how.method == "percentile" else self.least_error(bits)

    def percentile(self, percent: float) -> tuple[float, float]:
        """The middle `percent` of the values; a side that stops at zero keeps all of its own."""
        share = self.counts.cumsum(0) / self.counts.sum()
        tail = (1 - percent / 100) * (1.0 if self.low >= 0 or self.high <= 0 else 0.5)
        low = self.centres[int((share > tail).nonzero()[0])] if self.low < 0 else 0.0
        high = self.centres[int((share >= 1 - tail).nonzero()[0])] if self.high > 0 else 0.0
        return min(float(low), 0.0), max(float(high), 0.0)

    def least_error(self, bits: int) -> tuple[float, float]:
        """The range of least squared quantization error over the histogram."""
        sides = 2 if self.low < 0 < self.high else 1
        shrink = torch.linspace(SMALLEST, 1.0, round(CANDIDATES ** (1 / sides)), dtype=torch.float64)
        lows = min(self.low, 0.0) * (shrink if self.low < 0 else shrink[-1:])
        highs = max(self.high, 0.0) * (shrink if self.high > 0 else shrink[-1:])
        low, high = (side.flatten()[:, None] for side in torch.meshgrid(lows, highs, indexing="ij"))
        steps = (1 << bits) - 1
        scale = (high - low) / steps
        zero = torch.round(-low / scale)
        codes = torch.clamp(torch.round(self.centres / scale) + zero, 0, steps)
        error = ((scale * (codes - zero) - self.centres).square() * self.counts).sum(1)
        best = int(error.argmin())
        return float(low[best]), float(high[best])
