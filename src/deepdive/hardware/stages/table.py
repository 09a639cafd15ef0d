"""Table: one code for another, whatever the function."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from deepdive.hardware.memory import Memory, total
from deepdive.hardware.resources import Resources
from deepdive.hardware.stages.stage import Pipe


class Table(Pipe):
    """A step looks up every lane of a beat; input and output may differ in bits and sign."""

    kind: Literal["table"] = "table"
    node: str

    @model_validator(mode="after")
    def _shapes(self) -> Table:
        a, b = self.input, self.output
        if (a.shape, a.lanes, a.taps, b.taps) != (b.shape, b.lanes, 1, 1):
            raise ValueError(f"stage '{self.name}': input and output differ in shape or lanes")
        return self

    @property
    def interval_cycles(self) -> int:
        return self.input.beats

    @property
    def memories(self) -> tuple[Memory, ...]:
        """The codes, once a lane, for every lane reads an address of its own: at most 256 words, so LUTs."""
        return (
            Memory(
                name="codes",
                depth=1 << self.input.bits,
                width=self.output.bits,
                banks=self.input.lanes,
                read_only=True,
                storage="distributed",
            ),
        )

    def resources(self) -> Resources:
        """The ROMs, a register for what they give, the handshake."""
        return total(self.memories) + Resources(lut=20, ff=self.output.beat_bits + 10)
