"""Dense: pointwise, k x k and fully connected layers on one array of multipliers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from deepdive.hardware.memory import Memory
from deepdive.hardware.resources import Resources
from deepdive.hardware.stages.stage import Requantizer, Stage
from deepdive.hardware.stream import Stream


class Dense(Stage):
    """`input.taps * input.lanes` inputs times `out_parallel` output channels a cycle.

    For every pixel: for every group of `out_parallel` output channels: for every group of input lanes: one step.
    The first output group reads the pixel from the stream and keeps it; later groups read it back. A finished group
    of accumulators is requantized `output.lanes` channels a step while the next group accumulates, so
    ``input.groups * output.lanes >= out_parallel`` and the requantizers are shared.
    """

    kind: Literal["conv", "pointwise", "linear"]
    node: str
    input: Stream
    output: Stream
    out_parallel: int = Field(ge=1)
    weight_bits: int = Field(ge=2, le=8)
    requantizer: Requantizer
    weights: Literal["on_chip", "external"] = "on_chip"

    @model_validator(mode="after")
    def _folding(self) -> Dense:
        if self.output.channels % self.out_parallel or self.out_parallel % self.output.lanes:
            raise ValueError(f"stage '{self.name}': out_parallel {self.out_parallel} does not fit {self.output.channels}")
        if self.input.groups * self.output.lanes < self.out_parallel:
            raise ValueError(f"stage '{self.name}': {self.output.lanes} requantizers cannot follow the accumulators")
        return self

    @property
    def inputs(self) -> tuple[Stream, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return (self.output,)

    @property
    def out_groups(self) -> int:
        """Groups of output channels, one after the other."""
        return self.output.channels // self.out_parallel

    @property
    def interval_cycles(self) -> int:
        return self.output.height * self.output.width * self.input.groups * self.out_groups

    @property
    def multipliers(self) -> int:
        return self.input.taps * self.input.lanes * self.out_parallel

    @property
    def memories(self) -> tuple[Memory, ...]:
        rom = Memory(
            name="weights",
            depth=self.input.groups * self.out_groups,
            width=self.multipliers * self.weight_bits,
            read_only=True,
        )
        scales = Memory(
            name="scales",
            depth=self.output.groups,
            width=self.output.lanes * (32 + 16 + 6),
            read_only=True,
        )
        pixel = Memory(name="pixel", depth=self.input.groups, width=self.input.beat_bits)
        return (
            *((rom,) if self.weights == "on_chip" else ()),
            scales,
            *((pixel,) if self.out_groups > 1 else ()),
        )

    def resources(self) -> Resources:
        return Resources(
            dsp=self.multipliers + self.output.lanes,
            lut=sum(m.lut for m in self.memories),
            bram36=sum(m.bram36 for m in self.memories),
        )
