"""Concat: the channels of two streams side by side in one."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from deepdive.hardware.resources import Resources
from deepdive.hardware.stages.stage import Join


class Concat(Join):
    """For every pixel: a step hands on each beat of `input_a`, then each of `input_b`.

    Codes stay as they are: a `Table` in front brings a map to the other's scale.
    """

    kind: Literal["concat"] = "concat"
    node: str

    @model_validator(mode="after")
    def _shapes(self) -> Concat:
        a, b, c = self.input_a, self.input_b, self.output
        wanted = (a.height, a.width, a.channels + b.channels)
        if c.shape != wanted or b.shape != (a.height, a.width, b.channels):
            raise ValueError(f"stage '{self.name}': output {c.shape} is not {a.shape} and {b.shape} side by side")
        if len({(s.lanes, s.bits, s.signed, s.taps) for s in (a, b, c)}) != 1:
            raise ValueError(f"stage '{self.name}': its three streams differ in lanes or codes")
        return self

    def resources(self) -> Resources:
        """A register, a multiplexer of two beats, a counter of beats."""
        return Resources(lut=self.output.beat_bits + 8, ff=self.output.beat_bits + 10)
