"""What flows between two stages: a feature map row by row, pixel by pixel, channels innermost, in beats of `lanes`."""

from __future__ import annotations

from functools import lru_cache

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deepdive.hardware.memory import Memory
from deepdive.hardware.resources import Resources

REGISTERS_BITS = 64
"""A FIFO of two beats is a pair of registers, a LUT and two flip-flops a bit, up to this width; wider ones are
memories: RAM32M16 has 14 bits in 8 LUTs (UG574), and their output register is one flip-flop a bit."""


def fifo_words(width: int, depth: int) -> int:
    """Words of the memory in a FIFO, beside its output register; 0 when it is a pair of registers.

    A memory of one word would take a beat every second clock cycle only.
    """
    return 0 if depth == 2 and width <= REGISTERS_BITS else max(depth - 1, 2)


class Stream(BaseModel):
    """A valid/ready stream of beats and the FIFO that carries it.

    A beat holds `lanes` channels of one pixel; with `taps` > 1 it holds them for every tap of a filter window
    (taps outermost: tap, then lane). The last `padding` of the channels are none of the map's: they fill the last beat,
    and nobody reads what they hold. The FIFO is `depth` beats deep; with `ultra` it lies in UltraRAM.
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
    padding: int = Field(default=0, ge=0)
    ultra: bool = False

    @model_validator(mode="after")
    def _lanes_divide_channels(self) -> Stream:
        if self.padding >= self.channels:
            raise ValueError(f"stream '{self.name}': {self.padding} of {self.channels} channels are padding")
        if self.channels % self.lanes:
            raise ValueError(f"stream '{self.name}': {self.lanes} lanes do not divide {self.channels} channels")
        if self.ultra and not fifo_words(self.beat_bits, self.depth):
            raise ValueError(f"stream '{self.name}': a FIFO of {self.depth} beats is registers, not UltraRAM")
        return self

    @property
    def map_channels(self) -> int:
        """Channels without padding."""
        return self.channels - self.padding

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

    def pixel_channels(self, width: int) -> int:
        """Channels a pixel of a map `width` pixels wide, several of which may travel as one."""
        return self.channels * self.width // width

    @property
    def resources(self) -> Resources:
        """Modelled cost of the FIFO.

        A pair of registers with a multiplexer, or a memory with two pointers and a level; that has its output register
        in block RAM or UltraRAM, or one flip-flop a bit.
        """
        return fifo_resources(self.beat_bits, self.depth, self.ultra)


@lru_cache(maxsize=1 << 16)
def fifo_resources(beat_bits: int, depth: int, ultra: bool) -> Resources:
    """`Stream.resources` by size: a search asks for the same ones over and over."""
    words = fifo_words(beat_bits, depth)
    if not words:
        return Resources(lut=beat_bits + 4, ff=2 * beat_bits + 2)
    memory = Memory(name="fifo", depth=words, width=beat_bits, storage="ultra" if ultra else "auto")
    bits = words.bit_length()
    output = beat_bits if memory.style == "distributed" else 0
    control = Resources(lut=5 * bits - 2, ff=3 * bits + 1 + output)
    return control + memory.resources
