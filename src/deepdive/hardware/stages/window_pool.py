"""Pools of a window: its largest code, or its mean."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import model_validator

from deepdive.hardware.resources import Resources
from deepdive.hardware.stages.arithmetic import tree_luts
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
        """A tree a lane: of comparisons with their multiplexers (fitted), or of adders."""
        taps, bits = self.input.taps, self.input.bits
        if self.requantizer is None:
            tree = math.ceil(1.8 * bits * (taps - 1))
        else:
            least = bits if self.input.signed else bits - 1  # a carry chain gives its top bit without a LUT
            tree = math.ceil(tree_luts(taps, least, least + taps.bit_length()))
        own = Resources(lut=tree * self.input.lanes + 10, ff=(tree + taps * bits) * self.input.lanes + 20)
        return own + (self.requantizer.resources(self.output) if self.requantizer else Resources())
