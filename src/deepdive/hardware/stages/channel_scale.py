"""Channel scale: a map times one factor a channel, the product of squeeze-excite."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from deepdive.hardware.memory import Memory, total
from deepdive.hardware.resources import Resources
from deepdive.hardware.stages.stage import Requantizer, Stage
from deepdive.hardware.stream import Stream


class ChannelScale(Stage):
    """A step takes a beat of the map and gives its requantized products.

    During a frame's first pixel it takes the factors as well, and keeps them for the others. The map waits in the FIFO
    in front until they come: that holds a whole frame and more.
    """

    kind: Literal["channel_scale"] = "channel_scale"
    node: str
    input: Stream
    factors: Stream
    output: Stream
    requantizer: Requantizer

    @model_validator(mode="after")
    def _shapes(self) -> ChannelScale:
        wanted = (1, 1, self.input.channels)
        if self.factors.shape != wanted or self.output.shape != self.input.shape:
            raise ValueError(
                f"stage '{self.name}': its factors are not {wanted}, or its output is no map like its input"
            )
        if len({(s.lanes, s.taps) for s in (self.input, self.factors, self.output)}) != 1:
            raise ValueError(f"stage '{self.name}': its three streams differ in lanes")
        return self

    @property
    def inputs(self) -> tuple[Stream, ...]:
        return self.input, self.factors

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return (self.output,)

    @property
    def interval_cycles(self) -> int:
        return self.input.beats

    @property
    def macs(self) -> int:
        return self.input.height * self.input.width * self.input.map_channels

    @property
    def multipliers(self) -> int:
        return self.input.lanes

    @property
    def memories(self) -> tuple[Memory, ...]:
        """The factors, `lanes` a word."""
        return (Memory(name="kept", depth=self.input.groups, width=self.factors.beat_bits),)

    def resources(self) -> Resources:
        """A DSP48E2 and two zero points to subtract a lane, the requantizers, the factors."""
        lanes = self.input.lanes
        codes = (self.input.bits + self.factors.bits + 2) * lanes
        own = Resources(dsp=lanes, lut=4 * lanes + 25, ff=codes + 60)
        return own + self.requantizer.resources(self.output) + total(self.memories)
