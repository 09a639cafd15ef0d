"""What a piece of hardware costs: DSP slices, LUTs, flip-flops, block RAMs, UltraRAMs."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field


class Resources(BaseModel):
    """Counts of FPGA primitives; `bram36` in halves, since a BRAM36 is two BRAM18."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dsp: int = Field(default=0, ge=0)
    lut: int = Field(default=0, ge=0)
    ff: int = Field(default=0, ge=0)
    bram36: float = Field(default=0.0, ge=0)
    uram: int = Field(default=0, ge=0)

    @classmethod
    def total(cls, parts: Iterable[Resources]) -> Resources:
        """The sum of any number of parts."""
        found = list(parts)
        return cls(
            dsp=sum([part.dsp for part in found]),
            lut=sum([part.lut for part in found]),
            ff=sum([part.ff for part in found]),
            bram36=sum([part.bram36 for part in found]),
            uram=sum([part.uram for part in found]),
        )

    def __add__(self, other: Resources) -> Resources:
        return Resources(
            dsp=self.dsp + other.dsp,
            lut=self.lut + other.lut,
            ff=self.ff + other.ff,
            bram36=self.bram36 + other.bram36,
            uram=self.uram + other.uram,
        )
