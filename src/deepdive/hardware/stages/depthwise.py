"""Depthwise: one filter a channel, on windows."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from deepdive.hardware.memory import Memory, joining_luts, total
from deepdive.hardware.resources import Resources
from deepdive.hardware.stages.arithmetic import Column
from deepdive.hardware.stages.stage import Pipe, Requantizer
from deepdive.hardware.stages.taps import Taps, all_at_once


class Depthwise(Pipe):
    """`input.taps * input.lanes` multipliers: a step takes the windows of `lanes` channels and gives their outputs.

    For every pixel: for every group of lanes: one step. The weight word of group g holds (tap, lane), taps outermost,
    as the windows do. With `fabric` the multipliers are made of LUTs, else a DSP each; with
    `cascade` those are instances that sum their products themselves, as `summing` says; C++ has none.

    With `taps` only some taps are multiplied at once: a group takes several steps, each with a word of its own, and the
    sums grow in accumulators while the windows wait in a register.
    """

    kind: Literal["depthwise"] = "depthwise"
    node: str
    weight_bits: int = Field(ge=2, le=9)
    requantizer: Requantizer
    fabric: bool = False
    cascade: bool = False
    taps: Taps | None = None

    @model_validator(mode="after")
    def _shapes(self) -> Depthwise:
        if self.input.shape != self.output.shape or self.input.lanes != self.output.lanes or self.output.taps != 1:
            raise ValueError(f"stage '{self.name}': windows {self.input.shape} do not fit output {self.output.shape}")
        if len(self.folded.order) != self.input.taps:
            raise ValueError(f"stage '{self.name}': an order of {len(self.folded.order)} taps for {self.input.taps}")
        return self

    @property
    def folded(self) -> Taps:
        """Which taps are multiplied when."""
        return self.taps or all_at_once(self.input.taps)

    @property
    def cascaded(self) -> bool:
        """Whether it has DSPs that sum their products."""
        return self.cascade and not self.fabric

    @property
    def interval_cycles(self) -> int:
        return self.output.beats * self.folded.steps

    @property
    def drain_cycles(self) -> int:
        return self.folded.steps - 1

    @property
    def macs(self) -> int:
        return self.output.height * self.output.width * self.output.map_channels * self.input.taps

    @property
    def multipliers(self) -> int:
        return self.folded.parallel * self.input.lanes

    @property
    def weight_bits_total(self) -> int:
        return sum(memory.bits for memory in self.memories if memory.name == "weights")

    @property
    def memories(self) -> tuple[Memory, ...]:
        """The weights of a step a word; bias, mult and shift."""
        depth, width = self.input.groups * self.folded.steps, self.multipliers * self.weight_bits
        rom = Memory(name="weights", depth=depth, width=width, read_only=True)
        scales = self.requantizer.scales(self.output, bias=True)
        return (rom, *((scales,) if scales else ()))

    def resources(self) -> Resources:
        """A column of multipliers a lane, of LUTs or of a DSP48E2 each; requantizers, memories.

        Where taps take turns, a multiplexer a bit of a multiplier's code, and an accumulator a lane.
        """
        column = Column(self.folded.parallel, self.input.bits, self.weight_bits, self.requantizer.acc_bits)
        adders = math.ceil(self.input.lanes * column.luts(fabric=self.fabric, cascade=self.cascaded))
        late = self.input.lanes * column.waiting() if self.cascaded else 0
        product = self.input.bits + self.weight_bits
        turns = self.folded.most_steps
        sums = self.input.lanes * self.requantizer.acc_bits if turns > 1 else 0
        choosing = self.multipliers * self.input.bits * joining_luts(turns)
        own = Resources(
            dsp=0 if self.fabric else self.multipliers,
            lut=adders + sums + choosing + 10,
            ff=(2 if self.fabric else 1) * product * self.multipliers + self.input.beat_bits + sums + late + 20,
        )
        return own + self.requantizer.resources(self.output) + total(self.memories)
