"""Pad: a map within a frame of its zero point."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from deepdive.hardware.resources import Resources
from deepdive.hardware.stages.stage import Pipe


class Pad(Pipe):
    """A step gives a beat: one of the input, or `zero_point` in all lanes. `padding`: top, left, bottom, right."""

    kind: Literal["pad"] = "pad"
    node: str
    padding: tuple[int, int, int, int]
    zero_point: int

    @model_validator(mode="after")
    def _shapes(self) -> Pad:
        a, b, (top, left, bottom, right) = self.input, self.output, self.padding
        wanted = (a.height + top + bottom, a.width + left + right, a.channels)
        if b.shape != wanted or (a.lanes, a.bits, a.signed, a.taps, b.taps) != (b.lanes, b.bits, b.signed, 1, 1):
            raise ValueError(f"stage '{self.name}': output {b.shape} is not {wanted} at the input's lanes and codes")
        return self

    @property
    def interval_cycles(self) -> int:
        return self.output.beats

    @property
    def drain_cycles(self) -> int:
        """The frame's bottom, and its right side in the last row."""
        _, _, bottom, right = self.padding
        return (bottom * self.output.width + right) * self.output.groups

    def resources(self) -> Resources:
        """A register, a multiplexer with the zero point, counters for row, column and group (fitted)."""
        return Resources(lut=self.output.beat_bits + 25, ff=self.output.beat_bits + 16)
