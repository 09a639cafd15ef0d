"""The one contract of every stage: streams in, streams out, cycles a frame, multipliers, memories, resources."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from deepdive.hardware.memory import Memory
from deepdive.hardware.resources import Resources
from deepdive.hardware.stream import Stream


class Stage(BaseModel):
    """A hardware process that runs for ever, one step a clock cycle (II = 1).

    A stage holds its folding and shapes, never weights: those are looked up in the network by `node` when a backend
    writes the hardware.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")

    @property
    @abstractmethod
    def inputs(self) -> tuple[Stream, ...]:
        """Streams read, in port order."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[Stream, ...]:
        """Streams written, in port order."""

    @property
    @abstractmethod
    def interval_cycles(self) -> int:
        """Clock cycles a frame in steady state, never stalled: the trip count of the stage's one loop."""

    @property
    def multipliers(self) -> int:
        """Multiply-accumulates a clock cycle."""
        return 0

    @property
    def memories(self) -> tuple[Memory, ...]:
        """Every memory of the stage, banked as its ports need."""
        return ()

    @abstractmethod
    def resources(self) -> Resources:
        """Modelled cost of the stage without its FIFOs."""


class Requantizer(BaseModel):
    """How a stage turns accumulators into codes, as far as hardware cost depends on it.

    `per_channel` says whether mult and shift differ by output channel; `acc_bits` is proven from the weights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    acc_bits: int = Field(ge=2, le=33)
    mult_bits: int = Field(ge=1, le=16)
    per_channel: bool = True
    rounding: Literal["half_up", "floor"] = "half_up"
