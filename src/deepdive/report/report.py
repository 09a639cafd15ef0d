"""What a report shows, as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from deepdive.compiler.design import Design
from deepdive.compiler.front import Front
from deepdive.compiler.pipeline import Pipeline
from deepdive.hardware.resources import Resources
from deepdive.hardware.stages import SharedBody
from deepdive.hardware.units import Unit
from deepdive.qnet import QNet
from deepdive.qnet.classify import Guess
from deepdive.qnet.schedule import Call
from deepdive.report.peers import PEERS
from deepdive.report.performance import simulated
from deepdive.report.performance import summary as performance_summary
from deepdive.simulation.verify import Verification

if TYPE_CHECKING:
    from deepdive.simulation.synthesis import UnitSynthesis


@dataclass(frozen=True)
class Classification:
    """One picture with what the float network (if it was at hand) and the integer network say of it."""

    name: str
    thumbnail: bytes
    """A small JPEG of what the network saw."""
    integer: tuple[Guess, ...]
    float32: tuple[Guess, ...] = ()


@dataclass(frozen=True)
class Turn:
    """A block of the network in the time that a shared unit works on it."""

    nodes: tuple[str, ...]
    macs: int
    cycles: int
    """Clock cycles a frame, with the loading of weights that no other block hides."""
    share: float
    """Of all turns of the unit."""


@dataclass(frozen=True)
class UnitRow:
    """One compute unit in the table."""

    name: str
    kind: str
    blocks: tuple[str, ...]
    macs: int
    weight_kib: float
    cycles: int
    bottleneck: str
    multipliers: int
    resources: Resources
    turns: tuple[Turn, ...] = ()
    """Of a unit that blocks share, in the order in which they run; none in a streamed unit."""

    @property
    def utilization(self) -> float:
        """Useful multiplications over multipliers times cycles of this unit alone."""
        return self.macs / (self.multipliers * self.cycles) if self.multipliers else 0.0


@dataclass(frozen=True)
class CallRow:
    """One call of somebody else's accelerator, and our units that compute the same nodes."""

    call: Call
    units: tuple[UnitRow, ...]

    @property
    def cycles(self) -> int:
        """Of the slowest of our units; 0 where none is known."""
        return max((unit.cycles for unit in self.units), default=0)


@dataclass(frozen=True)
class Report:
    """A design, the network it computes, and what was checked, counted and classified with it."""

    net: QNet
    design: Design
    verification: Verification | None = None
    classifications: tuple[Classification, ...] = ()
    front: Front | None = None
    synthesis: Mapping[str, UnitSynthesis] = field(default_factory=dict)
    """Of the units that were synthesised, by name."""

    @cached_property
    def pipeline(self) -> Pipeline:
        """The design, simulated with several frames."""
        return simulated(self.design)

    def summary(self) -> dict[str, Any]:
        """Everything the page shows, for ``deepdive report --json``."""
        return {
            **self.design.summary(),
            **performance_summary(self.design, self.pipeline),
            "front": self.front.model_dump(mode="json") if self.front else None,
            "peers": [asdict(peer) for peer in PEERS],
            "verification": self.verification.model_dump() if self.verification else None,
            "turns": {row.name: [asdict(turn) for turn in row.turns] for row in self.rows if row.turns},
            "synthesis": {name: found.model_dump() for name, found in self.synthesis.items()},
        }

    @cached_property
    def counted(self) -> tuple[tuple[str, Resources, UnitSynthesis], ...]:
        """The units that were synthesised: their names, modelled as RTL has them, and synthesised."""
        units = (unit for unit in self.design.units if unit.name in self.synthesis)
        return tuple((unit.name, unit.rtl_resources, self.synthesis[unit.name]) for unit in units)

    @property
    def rows(self) -> tuple[UnitRow, ...]:
        """The compute units in order."""
        return tuple(unit_row(unit) for unit in self.design.units)

    @property
    def schedules(self) -> str:
        """The schedule that came with the network and ours in one sentence, or nothing."""
        schedule = self.net.schedule
        if schedule is None:
            return ""
        (fast, slow), (least, most), design = schedule.cycles, schedule.fps, self.design
        return (
            f"{schedule.title[0].upper()}{schedule.title[1:]}: one call after the other, {fast:,} to {slow:,} cycles a "
            f"frame, {least:.1f} to {most:.1f} FPS at {schedule.clock_mhz:g} MHz (modelled). Here all units work at "
            f"once: a frame every {design.frame_interval_cycles:,} cycles, {design.fps:,.0f} FPS at "
            f"{design.clock_mhz:g} MHz (modelled)."
        )

    @property
    def calls(self) -> tuple[CallRow, ...]:
        """The calls of the schedule that came with the network, if any did."""
        if self.net.schedule is None:
            return ()
        rows = self.rows
        return tuple(
            CallRow(call, tuple(row for row in rows if set(row.blocks) & set(call.nodes)))
            for call in self.net.schedule.calls
        )


def unit_row(unit: Unit) -> UnitRow:
    """Figures of one unit."""
    return UnitRow(
        name=unit.name,
        kind=unit.kind,
        blocks=unit.blocks,
        macs=unit.macs,
        weight_kib=unit.weight_bits_total / 8192,
        cycles=unit.interval_cycles,
        bottleneck=unit.bottleneck.name,
        multipliers=unit.multipliers,
        resources=unit.resources,
        turns=tuple(turn for stage in unit.stages if isinstance(stage, SharedBody) for turn in turns(stage)),
    )


def turns(stage: SharedBody) -> tuple[Turn, ...]:
    """The blocks of a shared unit, one after the other."""
    schedule = stage.schedule
    return tuple(
        Turn(block.nodes, block.macs, math.ceil(cycles / stage.batch), cycles / sum(schedule))
        for block, cycles in zip(stage.blocks, schedule, strict=True)
    )
