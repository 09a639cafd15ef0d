"""What a report shows, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from deepdive.compiler.design import Design
from deepdive.hardware.resources import Resources
from deepdive.hardware.units import Unit
from deepdive.qnet import QNet
from deepdive.qnet.classify import Guess
from deepdive.simulation.verify import Verification


@dataclass(frozen=True)
class Classification:
    """One picture with what the float network (if it was at hand) and the integer network say of it."""

    name: str
    thumbnail: bytes
    """A small JPEG of what the network saw."""
    integer: tuple[Guess, ...]
    float32: tuple[Guess, ...] = ()


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

    @property
    def utilization(self) -> float:
        """Useful multiplications over multipliers times cycles of this unit alone."""
        return self.macs / (self.multipliers * self.cycles) if self.multipliers else 0.0


@dataclass(frozen=True)
class Report:
    """A design, the network it computes, and what was checked and classified with it."""

    net: QNet
    design: Design
    verification: Verification | None = None
    classifications: tuple[Classification, ...] = ()

    @property
    def rows(self) -> tuple[UnitRow, ...]:
        """The compute units in order."""
        return tuple(unit_row(unit) for unit in self.design.units)


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
    )
