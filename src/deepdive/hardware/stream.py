"""What flows between two stages: a feature map row by row, pixel by pixel, channels innermost, `lanes` channels a beat."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


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
