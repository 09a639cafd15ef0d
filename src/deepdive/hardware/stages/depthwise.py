"""Depthwise: one filter a channel, on windows."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from deepdive.hardware.memory import Memory, total
from deepdive.hardware.resources import Resources
from deepdive.hardware.stages.arithmetic import Column
from deepdive.hardware.stages.stage import Pipe, Requantizer


class Depthwise(Pipe):
    """`input.taps * input.lanes` multipliers: a step takes the windows of `lanes` channels and gives their outputs.

    For every pixel: for every group of lanes: one step. The weight word of group g holds (tap, lane), taps outermost,
    as the windows do. With `fabric` the multipliers are made of LUTs, else a DSP each.
    """

    kind: Literal["depthwise"] = "depthwise"
    node: str
    weight_bits: int = Field(ge=2, le=9)
    requantizer: Requantizer
    fabric: bool = False

    @model_validator(mode="after")
    def _shapes(self) -> Depthwise:
        if self.input.shape != self.output.shape or self.input.lanes != self.output.lanes or self.output.taps != 1:
            raise ValueError(f"stage '{self.name}': windows {self.input.shape} do not fit output {self.output.shape}")
        return self

    @property
    def interval_cycles(self) -> int:
        return self.output.beats

    @property
    def macs(self) -> int:
        return self.output.height * self.output.width * self.output.map_channels * self.input.taps

    @property
    def multipliers(self) -> int:
        return self.input.taps * self.input.lanes

    @property
    def weight_bits_total(self) -> int:
        return self.input.taps * self.input.channels * self.weight_bits

    @property
    def memories(self) -> tuple[Memory, ...]:
        """The weights of a group of lanes a word; bias, mult and shift."""
        rom = Memory(name="weights", depth=self.input.groups, width=self.multipliers * self.weight_bits, read_only=True)
        scales = self.requantizer.scales(self.output, bias=True)
        return (rom, *((scales,) if scales else ()))

    def resources(self) -> Resources:
        """A column of `taps` multipliers a lane, of LUTs or of a DSP48E2 each; requantizers, memories."""
        column = Column(self.input.taps, self.input.bits, self.weight_bits, self.requantizer.acc_bits)
        adders = math.ceil(self.input.lanes * column.luts(fabric=self.fabric))
        product = self.input.bits + self.weight_bits
        own = Resources(
            dsp=0 if self.fabric else self.multipliers,
            lut=adders + 10,
            ff=(2 if self.fabric else 1) * product * self.multipliers + self.input.beat_bits + 20,
        )
        return own + self.requantizer.resources(self.output) + total(self.memories)
