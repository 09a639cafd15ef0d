"""What flows between two stages: a feature map row by row, pixel by pixel, channels innermost, in beats of `lanes`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deepdive.hardware.memory import Memory
from deepdive.hardware.resources import Resources

SRL_DEPTH = 32
"""A LUT of a SLICEM is a shift register of 32 bits (UG574, SRLC32E): the cheapest shallow FIFO."""


class Stream(BaseModel):
    """A valid/ready stream of beats and the FIFO that carries it.

    A beat holds `lanes` channels of one pixel; with `taps` > 1 it holds them for every tap of a filter window
    (taps outermost: tap, then lane). The FIFO is `depth` beats deep.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    channels: int = Field(ge=1)
    lanes: int = Field(ge=1)
    bits: int = Field(ge=2, le=8)
    signed: bool = False
    taps: int = Field(default=1, ge=1)
    depth: int = Field(default=2, ge=2)

    @model_validator(mode="after")
    def _lanes_divide_channels(self) -> Stream:
        if self.channels % self.lanes:
            raise ValueError(f"stream '{self.name}': {self.lanes} lanes do not divide {self.channels} channels")
        return self

    @property
    def groups(self) -> int:
        """Beats a pixel."""
        return self.channels // self.lanes

    @property
    def beats(self) -> int:
        """Beats a frame."""
        return self.height * self.width * self.groups

    @property
    def beat_bits(self) -> int:
        """Bits a beat."""
        return self.taps * self.lanes * self.bits

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the feature map that it carries."""
        return self.height, self.width, self.channels

    @property
    def resources(self) -> Resources:
        """Modelled cost of the FIFO.

        Two deep is a pair of registers with a multiplexer; up to 32 deep a shift register a bit; beyond that a memory
        with read and write pointers. Every kind has an output register and a counter or two.
        """
        if self.depth == 2:
            return Resources(lut=self.beat_bits + 6, ff=2 * self.beat_bits + 4)
        control = Resources(lut=4 * self.depth.bit_length(), ff=self.beat_bits + 3 * self.depth.bit_length())
        if self.depth <= SRL_DEPTH:
            return control + Resources(lut=self.beat_bits)
        return control + Memory(name=self.name, depth=self.depth, width=self.beat_bits).resources
