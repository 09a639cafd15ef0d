"""How much of a board a design may take."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from deepdive.errors import DeepDiveError
from deepdive.hardware.boards import Board
from deepdive.hardware.resources import Resources
from deepdive.hardware.units import Unit

KINDS = ("dsp", "lut", "ff", "bram36", "ports", "bytes")
"""What is counted: primitives, memory ports for weights, and bytes a frame over them."""

TITLES = {
    "dsp": "DSP",
    "lut": "LUT",
    "ff": "FF",
    "bram36": "BRAM36",
    "uram": "URAM",
    "ports": "memory ports",
    "bytes": "bytes a frame from external memory",
}


class Budget(BaseModel):
    """Fractions of the board's resources that the accelerator may take; the rest is for DMA, interconnect, routing.

    `power_w` limits the modelled total power (the power model's boundary), `latency_ms` the simulated latency of a
    frame; None: no limit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dsp: float = Field(default=0.90, gt=0, le=1)
    lut: float = Field(default=0.70, gt=0, le=1)
    ff: float = Field(default=0.70, gt=0, le=1)
    bram36: float = Field(default=0.85, gt=0, le=1)
    uram: float = Field(default=0.85, gt=0, le=1)
    memory_bandwidth: float = Field(default=0.80, gt=0, le=1)
    power_w: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    latency_ms: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    def limits(self, board: Board, clock_mhz: float, interval_cycles: int) -> dict[str, float]:
        """The most of each kind and of UltraRAM at a frame interval. A memory port is left for images and results."""
        available, memory = board.resources, board.memory
        bytes_a_second = self.memory_bandwidth * memory.bytes_per_second
        return {
            "dsp": self.dsp * available.dsp,
            "lut": self.lut * available.lut,
            "ff": self.ff * available.ff,
            "bram36": self.bram36 * available.bram36,
            "uram": self.uram * available.uram,
            "ports": memory.ports - 1,
            "bytes": bytes_a_second * interval_cycles / (clock_mhz * 1e6),
        }


def budget_of(
    max_utilization: float | None, max_power_w: float | None = None, max_latency_ms: float | None = None
) -> Budget:
    """The default budget, or the same share of all primitives (0..1); and limits of power and latency.

    Raises
    ------
    DeepDiveError
        When the share is not in 0..1, or a limit is not positive.
    """
    for name, value in (("max_power_w", max_power_w), ("max_latency_ms", max_latency_ms)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise DeepDiveError(f"{name} is {value:g}; it must be positive.")
    if max_utilization is None:
        return Budget(power_w=max_power_w, latency_ms=max_latency_ms)
    if not 0 < max_utilization <= 1:
        raise DeepDiveError(f"Utilization {max_utilization:g} is no share of 0..1; 0.5 is half of the board.")
    share = max_utilization
    return Budget(
        dsp=share, lut=share, ff=share, bram36=share, uram=share, power_w=max_power_w, latency_ms=max_latency_ms
    )


def usage(units: tuple[Unit, ...]) -> dict[str, float]:
    """What finished units take, of each kind and of UltraRAM."""
    used = Resources.total(unit.resources for unit in units)
    streams = [stage.external_bytes for unit in units for stage in unit.stages if stage.external_bytes]
    return {
        "dsp": used.dsp,
        "lut": used.lut,
        "ff": used.ff,
        "bram36": used.bram36,
        "uram": used.uram,
        "ports": len(streams),
        "bytes": sum(streams),
    }


def excess(used: Mapping[str, float], limits: Mapping[str, float]) -> dict[str, float]:
    """By how much the limits are passed, of each kind that passes them."""
    return {kind: used[kind] - limits[kind] for kind in KINDS if used[kind] > limits[kind] + 1e-9}
