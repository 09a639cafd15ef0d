"""The Pareto front of a network on a board: what more frames a second cost in watts, resources and latency."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deepdive.compiler.budget import Budget
from deepdive.compiler.compile import compiler_of, make_site
from deepdive.compiler.design import LABEL, MAX_FILE_BYTES, Design
from deepdive.compiler.objectives import SLOWER, Ladder, latency_ms
from deepdive.errors import DeepDiveError
from deepdive.files import write_text
from deepdive.hardware.resources import Resources
from deepdive.qnet import QNet

FILE = "front.json"
"""Its name in a build folder."""


class Point(BaseModel):
    """One design of the front, in figures; `chosen` is the one that was compiled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frame_interval_cycles: int = Field(ge=1)
    fps: float = Field(gt=0)
    latency_ms: float = Field(gt=0)
    power_w: float = Field(gt=0)
    power_low_w: float
    power_high_w: float
    resources: Resources
    mac_utilization: float
    chosen: bool = False

    @property
    def ends(self) -> tuple[float, ...]:
        """What is to be small: the less of each, the better."""
        used = self.resources
        return -self.fps, self.latency_ms, self.power_w, used.dsp, used.lut, used.ff, used.bram36, used.uram


class Front(BaseModel):
    """Designs none of which another beats in everything, fastest first. Latencies are simulated, the rest modelled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    network: str
    fingerprint: str
    board: str
    clock_mhz: float
    boundary: str
    label: str = LABEL
    points: tuple[Point, ...] = Field(min_length=1)

    def save(self, path: str | Path) -> None:
        """Write the front as JSON, whole or not at all."""
        write_text(path, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Front:
        """Read a front that `save` wrote; DeepDiveError when the file is none."""
        try:
            with path.open("rb") as file:
                return cls.model_validate_json(file.read(MAX_FILE_BYTES))
        except OSError as error:
            raise DeepDiveError(f"Cannot read front '{path}': {(error.strerror or str(error)).lower()}.") from None
        except ValidationError as error:
            raise DeepDiveError(
                f"'{path}' is no front: {error.errors()[0]['msg']}; compile the network again."
            ) from None


def find_front(net: QNet, design: Design, budget: Budget) -> Front:
    """The front of the board and clock of `design`, which is on it as the chosen point.

    Limits of power and latency are left out: the front shows what they cost.
    """
    free = budget.model_copy(update={"power_w": None, "latency_ms": None})
    site = make_site(design.board, design.clock_mhz, free, dsp_instances=design.dsp_instances)
    ladder = Ladder(compiler_of(net, site, design), None)
    designs = [found for factor in SLOWER if (found := ladder.at(round(ladder.fastest * factor)))]
    points = [point(found) for found in designs if found != design]
    chosen = point(design).model_copy(update={"chosen": True})
    kept = [one for one in points if not any(beats(other, one) for other in (*points, chosen))]
    return Front(
        network=net.name,
        fingerprint=design.fingerprint,
        board=design.board.name,
        clock_mhz=design.clock_mhz,
        boundary=design.power.boundary,
        points=tuple(sorted([*kept, chosen], key=lambda one: (-one.fps, one.power_w))),
    )


def point(design: Design) -> Point:
    """A design in figures."""
    power = design.power
    return Point(
        frame_interval_cycles=design.frame_interval_cycles,
        fps=design.fps,
        latency_ms=latency_ms(design),
        power_w=power.total_w,
        power_low_w=power.low,
        power_high_w=power.high,
        resources=design.resources,
        mac_utilization=design.mac_utilization,
    )


def beats(one: Point, other: Point) -> bool:
    """Whether `one` is nowhere worse and somewhere better."""
    return one.ends != other.ends and all(a <= b for a, b in zip(one.ends, other.ends, strict=True))
