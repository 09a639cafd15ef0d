"""Global average pool: one sum a channel over all pixels, requantized."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from deepdive.hardware.memory import Memory, total
from deepdive.hardware.resources import Resources
from deepdive.hardware.stages.stage import Pipe, Requantizer


class GlobalAveragePool(Pipe):
    """A step adds a beat to the accumulators of its channels; during the last pixel it gives the requantized sums.

    The first pixel overwrites the accumulators of the frame before, so frames follow each other without a pause.
    """

    kind: Literal["global_avg_pool"] = "global_avg_pool"
    node: str
    requantizer: Requantizer

    @model_validator(mode="after")
    def _shapes(self) -> GlobalAveragePool:
        wanted = (1, 1, self.input.channels)
        if self.output.shape != wanted or self.output.lanes != self.input.lanes or self.input.taps != 1:
            raise ValueError(f"stage '{self.name}': output {self.output.shape} is not {wanted} at the input's lanes")
        return self

    @property
    def interval_cycles(self) -> int:
        return self.input.beats

    @property
    def fill_beats(self) -> int:
        return self.input.beats - self.input.groups + 1

    @property
    def memories(self) -> tuple[Memory, ...]:
        """One accumulator a channel, `lanes` a word."""
        return (
            Memory(name="sums", depth=self.input.groups, width=self.input.lanes * self.requantizer.acc_bits),
            *((scales,) if (scales := self.requantizer.scales(self.output, bias=False)) else ()),
        )

    def resources(self) -> Resources:
        """Memories, requantizers, an adder a lane, and counters of groups and pixels (fitted)."""
        sums = self.input.lanes * self.requantizer.acc_bits
        pixels = self.input.height * self.input.width
        counters = (self.input.groups - 1).bit_length() + 2 * (pixels - 1).bit_length() + 5
        own = Resources(lut=sums + max(counters - 2 * self.input.lanes, 0), ff=2 * sums + 60)
        return own + self.requantizer.resources(self.output) + total(self.memories)
