"""Residual add: two streams of one shape, each with its own scale, into one."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from deepdive.hardware.resources import Resources
from deepdive.hardware.stages.stage import Join


class ResidualAdd(Join):
    """A step takes a beat of both inputs and gives ``clip((((a - z_a) * m_a + (b - z_b) * m_b + half) >> s) + z)``.

    `input_a` and `input_b` are the network node's inputs in its order; its constants are looked up by `node`.
    """

    kind: Literal["add"] = "add"
    node: str

    @model_validator(mode="after")
    def _shapes(self) -> ResidualAdd:
        if len({(s.shape, s.lanes, s.taps) for s in (self.input_a, self.input_b, self.output)}) != 1:
            raise ValueError(f"stage '{self.name}': its three streams differ in shape or lanes")
        return self

    def resources(self) -> Resources:
        """Two DSP48E2 a lane multiply by constants; the sum with its constant and the clip take LUTs (fitted)."""
        lanes = self.output.lanes
        return Resources(dsp=2 * lanes, lut=52 * lanes + 8, ff=66 * lanes + 3)
