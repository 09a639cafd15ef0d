"""How fast and why: the roofline of a design, and which unit works on which frame at what time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from deepdive.compiler.design import Design
from deepdive.compiler.pipeline import Pipeline, simulate_pipeline
from deepdive.hardware.stages.dense import Dense
from deepdive.hardware.units import Unit

FRAMES = 3
"""Shown in the timeline, one behind the other."""


@dataclass(frozen=True)
class Point:
    """Where a design or a unit lies: operations (two a multiply-accumulate) a byte, and 10**9 of them a second."""

    name: str
    operations_per_byte: float
    gops: float


@dataclass(frozen=True)
class Roofline:
    """What limits a design.

    Parameters
    ----------
    memory_gb_s
        External memory that the logic may count on, 10**9 bytes a second.
    board_gops
        With every DSP of the board at work, two products each where the design packs narrow weights.
    design_gops
        With every multiplier of the design at work.
    design
        By the bytes that do cross the memory ports.
    units
        By the bytes that would, if each unit read its map and its weights from external memory and wrote its map there.
    """

    memory_gb_s: float
    board_gops: float
    design_gops: float
    design: Point
    units: tuple[Point, ...]


@dataclass(frozen=True)
class Span:
    """A unit at work on a frame, in clock cycles from the first beat of the first frame shown; simulated."""

    unit: str
    frame: int
    start: int
    end: int


def roofline(design: Design) -> Roofline:
    """Roofs and points; modelled."""
    clock = design.clock_mhz * 1e6
    packed = any(isinstance(stage, Dense) and stage.packed for unit in design.units for stage in unit.stages)
    per_dsp = 2 if packed else 1
    return Roofline(
        memory_gb_s=design.board.memory.bytes_per_second / 1e9,
        board_gops=2 * per_dsp * design.board.resources.dsp * clock / 1e9,
        design_gops=2 * design.multipliers * clock / 1e9,
        design=Point(design.network, 2 * design.macs / design.external_bytes, 2 * design.macs * design.fps / 1e9),
        units=tuple(
            Point(unit.name, 2 * unit.macs / moved(unit), 2 * unit.macs * design.fps / 1e9)
            for unit in design.units
            if unit.macs
        ),
    )


def moved(unit: Unit) -> float:
    """Bytes of a unit's maps and weights."""
    maps = sum(stream.height * stream.width * stream.channels * stream.bits for stream in (unit.input, unit.output))
    return (maps + unit.weight_bits_total) / 8


def simulated(design: Design) -> Pipeline:
    """The design with frames enough that the middle one finds a full pipeline in front and behind."""
    return simulate_pipeline(design.units, frames=4)


def timeline(design: Design, pipeline: Pipeline) -> tuple[Span, ...]:
    """Frames overlapping in a full pipeline: in steady state each does the same, an interval after the one before."""
    activity = {stage.name: stage for stage in pipeline.stages}
    first = activity[design.units[0].stages[0].name].first_cycle
    spans = []
    for unit in design.units:
        stages = [activity[stage.name] for stage in unit.stages]
        start, end = min(one.first_cycle for one in stages), max(one.last_cycle for one in stages)
        for frame in range(FRAMES):
            later = frame * pipeline.interval_cycles - first
            spans.append(Span(unit.name, frame + 1, start + later, end + later))
    return tuple(spans)


def summary(design: Design, pipeline: Pipeline) -> dict[str, Any]:
    """The same for machines."""
    return {
        "roofline": asdict(roofline(design)),
        "timeline": [asdict(span) for span in timeline(design, pipeline)],
        "simulated_interval_cycles": pipeline.interval_cycles,
    }
