"""Flatten: a map as a vector, in the order in which it travels."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import model_validator

from deepdive.hardware.resources import Resources
from deepdive.hardware.stages.stage import Pipe


class Flatten(Pipe):
    """A step hands a beat on as it is: only what it is called changes."""

    kind: Literal["flatten"] = "flatten"
    node: str

    @model_validator(mode="after")
    def _shapes(self) -> Flatten:
        a, b = self.input, self.output
        wanted = (1, 1, math.prod(a.shape))
        if b.shape != wanted or (a.lanes, a.bits, a.signed, a.taps, b.taps) != (b.lanes, b.bits, b.signed, 1, 1):
            raise ValueError(f"stage '{self.name}': output {b.shape} is not {wanted} at the input's lanes and codes")
        return self

    @property
    def interval_cycles(self) -> int:
        return self.input.beats

    def resources(self) -> Resources:
        """A register and the handshake."""
        return Resources(lut=2, ff=self.input.beat_bits + 1)
