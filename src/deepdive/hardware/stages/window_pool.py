"""Pools of a window: its largest code, or its mean."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from deepdive.hardware.resources import Resources
from deepdive.hardware.stages.stage import Pipe, Requantizer


class WindowPool(Pipe):
    """A step takes the windows of `lanes` channels and gives their largest codes, or their requantized sums.

    The windows come padded: with the smallest code for a maximum, with the zero point for a mean, which has a
    `requantizer`. Its mult and shift may depend on how many taps lie inside the map.
    """

    kind: Literal["max_pool", "avg_pool"]
    node: str
    requantizer: Requantizer | None = None

    @model_validator(mode="after")
    def _shapes(self) -> WindowPool:
        if self.input.shape != self.output.shape or self.input.lanes != self.output.lanes or self.output.taps != 1:
            raise ValueError(f"stage '{self.name}': windows {self.input.shape} do not fit output {self.output.shape}")
        if (self.kind == "avg_pool") != (self.requantizer is not None):
            raise ValueError(f"stage '{self.name}': a mean has a requantizer, a maximum has none")
        return self

    @property
    def interval_cycles(self) -> int:
        return self.output.beats

    def resources(self) -> Resources:
        """A comparison with its multiplexer, or an adder of about twelve bits, for each tap; registers alike."""
        per_tap = 2 * self.input.bits if self.requantizer is None else 12
        tree = per_tap * self.input.taps * self.input.lanes
        own = Resources(lut=tree + 60, ff=tree + 60)
        return own + (self.requantizer.resources(self.output) if self.requantizer else Resources())
