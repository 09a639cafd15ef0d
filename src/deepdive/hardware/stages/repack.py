"""Repack: changes how many channels a beat holds."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from deepdive.hardware.resources import Resources
from deepdive.hardware.stages.stage import Pipe


class Repack(Pipe):
    """Splits a beat into narrower ones or joins narrow ones into a wider; one number of lanes divides the other.

    A step takes a beat, gives a beat, or (the last narrow beat of a wide one) both, so the interval is the larger
    number of beats.
    """

    kind: Literal["repack"] = "repack"

    @model_validator(mode="after")
    def _shapes(self) -> Repack:
        a, b = self.input, self.output
        if (a.shape, a.bits, a.signed) != (b.shape, b.bits, b.signed) or (a.taps, b.taps) != (1, 1):
            raise ValueError(f"stage '{self.name}': input and output differ in more than their lanes")
        if a.lanes % b.lanes and b.lanes % a.lanes:
            raise ValueError(f"stage '{self.name}': neither of {a.lanes} and {b.lanes} lanes divides the other")
        return self

    @property
    def interval_cycles(self) -> int:
        return max(self.input.beats, self.output.beats)

    @property
    def fill_beats(self) -> int:
        return max(1, self.output.lanes // self.input.lanes)

    @property
    def drain_cycles(self) -> int:
        """Narrow beats of the last wide one still to be written."""
        return max(1, self.input.lanes // self.output.lanes) - 1

    def resources(self) -> Resources:
        """A register of the wider beat, a multiplexer of the narrower."""
        wide = max(self.input.beat_bits, self.output.beat_bits)
        return Resources(lut=wide + 20, ff=wide + 20)
