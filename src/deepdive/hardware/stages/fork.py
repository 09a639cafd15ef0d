"""Fork: one stream to two readers."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from deepdive.hardware.resources import Resources
from deepdive.hardware.stages.stage import Stage
from deepdive.hardware.stream import Stream


class Fork(Stage):
    """A step takes a beat and gives it to both outputs; it waits while either is full."""

    kind: Literal["fork"] = "fork"
    input: Stream
    output_a: Stream
    output_b: Stream

    @model_validator(mode="after")
    def _shapes(self) -> Fork:
        streams = (self.input, self.output_a, self.output_b)
        if len({(s.shape, s.lanes, s.bits, s.signed, s.taps) for s in streams}) != 1:
            raise ValueError(f"stage '{self.name}': its three streams differ in shape, lanes or bits")
        return self

    @property
    def inputs(self) -> tuple[Stream, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return self.output_a, self.output_b

    @property
    def interval_cycles(self) -> int:
        return self.input.beats

    def resources(self) -> Resources:
        """A register and the handshake."""
        return Resources(lut=4, ff=self.input.beat_bits + 2)
