"""What a sweep found."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from deepdive.codesign.space import Candidate
from deepdive.compiler.design import LABEL
from deepdive.files import write_text
from deepdive.hardware.resources import Resources


class Outcome(BaseModel):
    """A candidate that fits: its accuracy, and its design's figures; on the `front` when no other is better in all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidate: Candidate
    accuracy: float
    fps: float
    power_w: float
    power_low_w: float
    power_high_w: float
    frame_interval_cycles: int
    resources: Resources
    front: bool = False

    def beats(self, other: Outcome) -> bool:
        """Whether it is nowhere worse and somewhere better in accuracy, FPS and W."""
        mine, yours = (-self.accuracy, -self.fps, self.power_w), (-other.accuracy, -other.fps, other.power_w)
        return mine != yours and all(a <= b for a, b in zip(mine, yours, strict=True))


class Refusal(BaseModel):
    """A candidate that could not be had, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidate: Candidate
    reason: str


class Result(BaseModel):
    """Every candidate that was tried, the most accurate first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    board: str
    boundary: str
    label: str = LABEL
    outcomes: tuple[Outcome, ...]
    refused: tuple[Refusal, ...] = ()

    @classmethod
    def of(cls, board: str, boundary: str, outcomes: dict[Candidate, Outcome], refused: dict[Candidate, str]) -> Result:
        """With the Pareto front marked."""
        marked = [
            one.model_copy(update={"front": not any(other.beats(one) for other in outcomes.values())})
            for one in outcomes.values()
        ]
        return cls(
            board=board,
            boundary=boundary,
            outcomes=tuple(sorted(marked, key=lambda one: (-one.accuracy, -one.fps, str(one.candidate)))),
            refused=tuple(
                Refusal(candidate=candidate, reason=reason)
                for candidate, reason in sorted(refused.items(), key=lambda pair: str(pair[0]))
            ),
        )

    def save(self, path: str | Path) -> None:
        """Write it as JSON, whole or not at all."""
        write_text(path, self.model_dump_json(indent=1) + "\n")
