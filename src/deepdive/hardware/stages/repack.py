"""Repack: changes how many channels a beat holds, and how many channels a pixel is padded to."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from deepdive.hardware.resources import Resources
from deepdive.hardware.stages.stage import Pipe


class Repack(Pipe):
    """Splits a beat into narrower ones or joins narrow ones into a wider; one number of lanes divides the other.

    A step takes a beat, gives a beat, or (the last narrow beat of a wide one) both, so the interval is the larger
    number of narrow beats. Inside a shared body a pixel may be padded to different numbers of channels on both sides:
    what the output has more is zeros, what the input has more is dropped.
    """

    kind: Literal["repack"] = "repack"

    @model_validator(mode="after")
    def _shapes(self) -> Repack:
        a, b = self.input, self.output
        maps = [(s.height, s.width, s.bits, s.signed, s.taps) for s in (a, b)]
        if maps[0] != maps[1] or a.taps != 1:
            raise ValueError(f"stage '{self.name}': input and output differ in more than lanes and channels")
        if a.lanes % b.lanes and b.lanes % a.lanes:
            raise ValueError(f"stage '{self.name}': neither of {a.lanes} and {b.lanes} lanes divides the other")
        return self

    @property
    def narrow_lanes(self) -> int:
        """Lanes of the narrower side."""
        return min(self.input.lanes, self.output.lanes)

    @property
    def pixel_cycles(self) -> int:
        """Steps a pixel: narrow beats of the side with more channels."""
        return max(self.input.channels, self.output.channels) // self.narrow_lanes

    @property
    def interval_cycles(self) -> int:
        return self.output.height * self.output.width * self.pixel_cycles

    @property
    def fill_beats(self) -> int:
        return max(1, self.output.lanes // self.input.lanes)

    @property
    def drain_cycles(self) -> int:
        """Narrow beats of the last wide one still to be written."""
        return max(1, self.input.lanes // self.output.lanes) - 1

    def resources(self) -> Resources:
        """Joining fills registers one after the other; splitting shifts a register, a multiplexer a bit."""
        wide, narrow = sorted((self.input.beat_bits, self.output.beat_bits), reverse=True)
        if self.input.beat_bits >= self.output.beat_bits:
            return Resources(lut=wide + 8, ff=wide + 4)
        return Resources(lut=7, ff=2 * wide - narrow + 4)
