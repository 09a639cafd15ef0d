"""A Design: the accelerator that the compiler found, as one value that goes to JSON and back."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deepdive.compiler.latency import simulate_latency
from deepdive.errors import DeepDiveError
from deepdive.files import write_text
from deepdive.hardware.boards import Board
from deepdive.hardware.power import Power, model_power
from deepdive.hardware.resources import Resources
from deepdive.hardware.stages.stage import Stage
from deepdive.hardware.units import Unit, check_unique

FORMAT = 1
MAX_FILE_BYTES = 1 << 26
LABEL = "modelled"


class Design(BaseModel):
    """Compute units in order of the data flow, on a board, at a clock.

    All figures are *modelled*, from the stages' contracts and without synthesis; the latency comes from a
    discrete-event simulation of the same contracts.

    Parameters
    ----------
    network, fingerprint
        Name of the network, and a hash of everything in it that the hardware depends on.
    clock_mhz
        Of all units.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    network: str
    fingerprint: str
    board: Board
    clock_mhz: float = Field(gt=0)
    units: tuple[Unit, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _chain(self) -> Design:
        check_unique("units", [unit.name for unit in self.units])
        check_unique("nodes", [block for unit in self.units for block in unit.blocks])
        check_unique("streams", [stream.name for unit in self.units for stream in unit.streams])
        for before, after in pairwise(self.units):
            if before.output != after.input or before.output_map != after.input_map:
                raise ValueError(f"unit '{after.name}' does not read what unit '{before.name}' writes")
        return self

    @property
    def frame_interval_cycles(self) -> int:
        """Clock cycles between two frames: those of the slowest stage."""
        return max(unit.interval_cycles for unit in self.units)

    @property
    def fps(self) -> float:
        """Frames a second when frames follow each other without a pause."""
        return self.clock_mhz * 1e6 / self.frame_interval_cycles

    @cached_property
    def latency_cycles(self) -> int:
        """Clock cycles from the first frame's first input beat to its last output beat, others following; simulated."""
        return simulate_latency(self.units)

    @property
    def resources(self) -> Resources:
        """What all units occupy. The processing system's DMA engine and interconnect are not counted."""
        return Resources.total(unit.resources for unit in self.units)

    @property
    def dsp_instances(self) -> bool:
        """Whether multipliers are instances of the board's DSPs, which only Verilog has."""
        return any(stage.has_cascades for unit in self.units for stage in unit.stages)

    @property
    def macs(self) -> int:
        """Multiply-accumulates a frame that the network asks for."""
        return sum(unit.macs for unit in self.units)

    @property
    def multipliers(self) -> int:
        """Multiply-accumulates a clock cycle."""
        return sum(unit.multipliers for unit in self.units)

    @property
    def mac_utilization(self) -> float:
        """Useful multiply-accumulates over those the multipliers could do in a frame interval."""
        possible = self.frame_interval_cycles * self.multipliers
        return self.macs / possible if possible else 0.0

    @property
    def bottleneck(self) -> Stage:
        """The stage that sets the frame interval; the first of several."""
        return max(self.units, key=lambda unit: unit.interval_cycles).bottleneck

    @property
    def external_bytes(self) -> int:
        """Bytes a frame over the memory ports: the image, the weights that are not on chip, the result."""
        image, result = self.units[0].input, self.units[-1].output
        ends = sum(-(-stream.bits // 8) * stream.height * stream.width * stream.channels for stream in (image, result))
        return ends + sum(unit.external_bytes for unit in self.units)

    @property
    def activity(self) -> float:
        """Share of cycles in which the multipliers work, for the power model."""
        return min(1.0, self.mac_utilization)

    @property
    def power(self) -> Power:
        """Modelled power at full frame rate."""
        return model_power(self.board, self.resources, self.clock_mhz, self.activity, self.external_bytes * self.fps)

    def summary(self) -> dict[str, Any]:
        """The stable keys of ``compile --json``; plain values only."""
        used, available = self.resources.model_dump(), self.board.resources.model_dump()
        power = self.power
        return {
            "network": self.network,
            "board": self.board.name,
            "clock_mhz": self.clock_mhz,
            "frame_interval_cycles": self.frame_interval_cycles,
            "latency_cycles": self.latency_cycles,
            "fps": self.fps,
            "resources": {name: {"used": used[name], "available": available[name]} for name in used},
            "mac_utilization": self.mac_utilization,
            "power_w": {
                "value": power.total_w,
                "low": power.low,
                "high": power.high,
                "boundary": power.boundary,
            },
            "fps_per_watt": {
                "value": self.fps / power.total_w,
                "low": self.fps / power.high,
                "high": self.fps / power.low,
                "boundary": power.boundary,
            },
            "boundaries": [
                {
                    "boundary": watts.boundary,
                    "power_w": {"value": watts.value, "low": watts.low, "high": watts.high},
                    "fps_per_watt": {
                        "value": self.fps / watts.value,
                        "low": self.fps / watts.high,
                        "high": self.fps / watts.low,
                    },
                }
                for watts in power.boundaries
            ],
            "label": LABEL,
            "units": [unit_summary(unit) for unit in self.units],
        }

    def save(self, path: str | Path) -> None:
        """Write the design as JSON, whole or not at all."""
        write_text(path, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Design:
        """Read a design that `save` wrote.

        Raises
        ------
        DeepDiveError
            When the file cannot be read, is no design, or is of another format version.
        """
        try:
            with Path(path).open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise DeepDiveError(f"Cannot read design '{path}': {(error.strerror or str(error)).lower()}.") from None
        if len(data) > MAX_FILE_BYTES:
            raise DeepDiveError(f"'{path}' is larger than {MAX_FILE_BYTES} bytes; that is no design.")
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise DeepDiveError(
                f"'{path}' is no design of format {FORMAT}: {where}: {first['msg']}; compile the network again."
            ) from None


def unit_summary(unit: Unit) -> dict[str, Any]:
    """One unit's figures for the summary."""
    return {
        "name": unit.name,
        "kind": unit.kind,
        "blocks": list(unit.blocks),
        "stages": [stage.name for stage in unit.stages],
        "interval_cycles": unit.interval_cycles,
        "bottleneck": unit.bottleneck.name,
        "macs": unit.macs,
        "multipliers": unit.multipliers,
        "weight_bits": unit.weight_bits_total,
        "external_bytes": unit.external_bytes,
        "resources": unit.resources.model_dump(),
    }
