"""How somebody else's accelerator computes a network: cycles of its calls, to be set beside ours."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pydantic import ConfigDict

from deepdive.errors import DeepDiveError
from deepdive.qnet.feature_map import MAX_NAME

MAX_CALLS = 1000
MAX_CYCLES = 10**12


@dataclass(frozen=True)
class Call:
    """One call of an accelerator, which computes some nodes; calls follow each other without overlap.

    Parameters
    ----------
    nodes
        Names of the nodes it computes.
    weight_load_cycles, cycles
        To bring its weights, and in all.
    cycles_high
        The same under less favourable assumptions.
    bottleneck
        Its slowest stage.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    nodes: tuple[str, ...]
    weight_load_cycles: int
    cycles: int
    cycles_high: int
    bottleneck: str

    def __post_init__(self) -> None:
        for text in (self.name, self.bottleneck, *self.nodes):
            if not 1 <= len(text) <= MAX_NAME or not text.isprintable():
                raise DeepDiveError(f"A schedule names {text!r:.80}; want 1 to {MAX_NAME} printable characters.")
        if not 0 <= self.weight_load_cycles <= self.cycles <= self.cycles_high <= MAX_CYCLES or not self.cycles:
            raise DeepDiveError(
                f"The schedule's call '{self.name}' loads weights for {self.weight_load_cycles} of {self.cycles} to "
                f"{self.cycles_high} cycles; want rising numbers up to {MAX_CYCLES}."
            )


@dataclass(frozen=True)
class Schedule:
    """The calls of a frame.

    Parameters
    ----------
    title
        Whose it is, and how it was found.
    clock_mhz
        The clock that it is meant for.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    title: str
    clock_mhz: float
    calls: tuple[Call, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.title) <= MAX_NAME or not self.title.isprintable():
            raise DeepDiveError(f"A schedule's title {self.title!r:.80} wants 1 to {MAX_NAME} printable characters.")
        if not (math.isfinite(self.clock_mhz) and 0 < self.clock_mhz <= 1e4):
            raise DeepDiveError(f"A schedule's clock of {self.clock_mhz} MHz is outside 0..10000.")
        if not 1 <= len(self.calls) <= MAX_CALLS:
            raise DeepDiveError(f"A schedule has {len(self.calls)} calls; want 1 to {MAX_CALLS}.")

    @property
    def cycles(self) -> tuple[int, int]:
        """Of a frame: all calls one after the other, under both assumptions."""
        return sum(call.cycles for call in self.calls), sum(call.cycles_high for call in self.calls)

    @property
    def fps(self) -> tuple[float, float]:
        """Frames a second at its clock: under less favourable assumptions, and under favourable ones."""
        fast, slow = self.cycles
        return self.clock_mhz * 1e6 / slow, self.clock_mhz * 1e6 / fast

    def check(self, nodes: set[str]) -> None:
        """Refuse calls of nodes that a network does not have, or that two calls compute."""
        named = [name for call in self.calls for name in call.nodes]
        for name in named:
            if name not in nodes:
                raise DeepDiveError(f"The schedule names '{name}', which is no node.")
        if len(set(named)) != len(named):
            raise DeepDiveError("The schedule computes a node twice.")
