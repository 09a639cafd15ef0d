"""compile: a QNet and a board in, a Design out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from deepdive.compiler.budget import TITLES, Budget, excess
from deepdive.compiler.cascades import cascaded
from deepdive.compiler.design import Design
from deepdive.compiler.folding import SPAN, Folder, Site, fastest_interval
from deepdive.compiler.objectives import SCORES, Ladder, Objective
from deepdive.compiler.partition import partition, takes_two_columns
from deepdive.compiler.plan import Operation, UnitPlan
from deepdive.compiler.segments import NEAR, Segments
from deepdive.errors import CheckFailed, DeepDiveError, nearest
from deepdive.hardware.boards import Board, load_board
from deepdive.hardware.units import Unit
from deepdive.qnet import QNet
from deepdive.qnet.fingerprint import fingerprint

SharingMode = Literal["auto", "never", "always"]
DEFAULT_BUDGET = Budget()
SLOWEST = 1 << 40
"""A frame interval that every folding keeps."""
GOOD = 1.5
"""Streamed units within this factor of the interval that the DSPs allow leave little for shared ones to gain."""
CLOCKS = (1.0, 0.8, 0.6, 0.4)
"""Shares of the board's clock that are looked at when it is free."""
WORTH = 1.15
"""Shared units that are hardly faster than streamed ones are not worth it: a frame waits for its batch."""
CLOSE = 1.01
"""Among shared units a hundredth of the speed is given up for fewer multipliers."""


def compile(
    net: QNet,
    *,
    board: str | Path | Board,
    clock_mhz: float | Literal["auto"] | None = None,
    objective: Objective = "fps",
    target_fps: float | None = None,
    budget: Budget = DEFAULT_BUDGET,
    sharing: SharingMode = "auto",
    dsp_instances: bool = False,
) -> Design:
    """Find an accelerator for a network on a board.

    Parameters
    ----------
    board
        Name of a board, path of a board file, or a Board.
    clock_mhz
        Default: the board's own. ``auto``: the best for the objective of the board's own and of `CLOCKS` of it.
    objective
        ``fps``: the most frames a second. ``fps-per-watt``, ``latency``: the best of a range of frame intervals.
        ``min-resources``: the least of the board's resources at `target_fps`, or at any speed.
    target_fps
        Frames a second that the design must reach; with ``fps`` and the others, a floor.
    budget
        Fractions of the board's resources that may be taken, watts, and milliseconds for a frame.
    sharing
        Whether consecutive blocks may share a compute unit: ``auto``, where that is faster or nothing else fits;
        ``never``; ``always``, all blocks that can.
    dsp_instances
        Multipliers are instances of the board's DSPs, which sum their products; Verilog has them, C++ has not.

    Raises
    ------
    UnsupportedLayer
        Naming a node that no stage computes.
    CheckFailed
        When nothing fits or the target is out of reach: what is missing, by how much, and the nearest that works.
    DeepDiveError
        Unknown board, objective or way of sharing, or a clock that the board cannot run.
    """
    if sharing not in get_args(SharingMode):
        raise DeepDiveError(f"Unknown sharing '{sharing}'{nearest(sharing, get_args(SharingMode))}")
    if objective not in get_args(Objective):
        raise DeepDiveError(f"Unknown objective '{objective}'{nearest(objective, get_args(Objective))}")
    if target_fps is not None and not (math.isfinite(target_fps) and target_fps > 0):
        raise DeepDiveError(f"target_fps is {target_fps}; it must be positive.")
    site = make_site(board, None if clock_mhz == "auto" else clock_mhz, budget, dsp_instances=dsp_instances)
    if clock_mhz == "auto":
        return best_clock(net, site, Goal(objective, target_fps, sharing))
    return best_design(net, site, Goal(objective, target_fps, sharing))


@dataclass(frozen=True)
class Goal:
    """What `compile` is asked for, beside network, board and clock."""

    objective: Objective
    target_fps: float | None
    sharing: SharingMode


def best_design(net: QNet, site: Site, goal: Goal) -> Design:
    """The design of one clock."""
    compiler = find_compiler(net, site, goal.sharing)
    slowest = math.floor(site.clock_mhz * 1e6 / goal.target_fps) if goal.target_fps else None
    if goal.objective == "min-resources" and site.budget.power_w is site.budget.latency_ms is None:
        return compiler.frugal(slowest)
    return Ladder(compiler, slowest).best(goal.objective)


def best_clock(net: QNet, site: Site, goal: Goal) -> Design:
    """The design of the highest score over the clocks; of equal ones that which draws least.

    A slower clock needs more multipliers for the same frames and draws less a multiplier; nothing is faster with it
    unless watts are short.

    Raises
    ------
    CheckFailed
        When none does: what the board's own clock says.
    """
    found, refusal = [], None
    for share in CLOCKS:
        try:
            found.append(best_design(net, replace(site, clock_mhz=site.clock_mhz * share), goal))
        except CheckFailed as failed:
            refusal = refusal or failed
        if goal.objective in ("fps", "latency") and site.budget.power_w is None:
            break
    if not found:
        assert refusal is not None
        raise refusal
    return max(found, key=lambda design: (SCORES[goal.objective](design), -design.power.total_w))


def make_site(
    board: str | Path | Board, clock_mhz: float | None, budget: Budget, *, dsp_instances: bool = False
) -> Site:
    """Board, clock and budget, checked."""
    found = board if isinstance(board, Board) else load_board(board)
    clock = found.clock_mhz if clock_mhz is None else clock_mhz
    if not 0 < clock <= found.max_clock_mhz:
        raise DeepDiveError(f"Clock {clock:g} MHz is outside 0..{found.max_clock_mhz:g} MHz of board '{found.name}'.")
    return Site(found, clock, budget, dsp_instances)


def planned(net: QNet, site: Site, *, columns: int = 1) -> tuple[UnitPlan, ...]:
    """The network's units, all streamed, with the multipliers that the site asks for; see `partition`."""
    plans = partition(net, columns=columns)
    return cascaded(plans) if site.dsp_instances else plans


def operations_of(plans: Sequence[UnitPlan]) -> list[Operation]:
    """Of all units, in order of the data flow."""
    return [operation for plan in plans for operation in plan.operations]


def find_compiler(net: QNet, site: Site, sharing: SharingMode) -> Compiler:
    """The compiler whose units, streamed or shared, are fastest; streamed ones when nothing fits.

    Raises
    ------
    CheckFailed
        When blocks must be shared, and none can, or no sharing fits.
    """
    streamed = Compiler(net, site)
    if sharing != "always":
        streamed.units = streamed.bisect(SPAN * streamed.low)
    if sharing == "never" or (sharing == "auto" and streamed.units and streamed.interval <= GOOD * streamed.of_dsps):
        return streamed
    segments = Segments(streamed.narrow, site, streamed.of_dsps, always=sharing == "always")
    if not segments.runs:
        if sharing == "always":
            raise CheckFailed(
                f"Network '{net.name}' has no blocks that a shared unit computes: pointwise and depthwise layers, with "
                "residual adds around them. Compile it with streamed units."
            )
        return streamed
    shared = [Compiler(net, site, segments.plans(one), one.interval) for one in segments.best()]
    able = [one for one in [*shared, streamed] if one.units and (one is not streamed or sharing == "auto")]
    if able:
        least = min(one.interval for one in able)
        if streamed in able and streamed.interval <= WORTH * least:
            return streamed
        return min(
            (one for one in able if one.interval <= CLOSE * least), key=lambda one: (one.multipliers, one.interval)
        )
    worst = segments.relaxed(len(segments.grid) - 1)
    if worst is None or not worst.shared:
        return streamed
    raise CheckFailed(Compiler(net, site, segments.plans(worst), worst.interval).too_big())


def compiler_of(net: QNet, site: Site, design: Design, interval: int | None = None) -> Compiler:
    """The compiler of a finished design: with the same blocks shared, for its frame interval or another one.

    Raises
    ------
    CheckFailed
        When no shared unit is so fast.
    """
    shared = [unit.blocks for unit in design.units if any(stage.kind == "shared_body" for stage in unit.stages)]
    streamed = Compiler(net, site)
    if not shared:
        return streamed
    segments = Segments(streamed.narrow, site, streamed.of_dsps)
    one = segments.of(shared, interval or design.frame_interval_cycles)
    return Compiler(net, site, segments.plans(one))


class Compiler:
    """One network on one site.

    Parameters
    ----------
    shared
        Units with shared bodies among them; by default all are streamed.
    near
        About the frame interval for which those shared bodies were made.
    """

    def __init__(
        self, net: QNet, site: Site, shared: tuple[UnitPlan, ...] | None = None, near: int | None = None
    ) -> None:
        self.net, self.site, self.shared = net, site, shared
        self.narrow = planned(net, site)
        self.wide = planned(net, site, columns=2) if shared is None and takes_two_columns(net) else self.narrow
        self.low = fastest_interval(operations_of(self.wide), site, fabric=True)
        self.of_dsps = fastest_interval(operations_of(self.narrow), site)
        self.hash = fingerprint(net)
        self.units: tuple[Unit, ...] | None = None
        if near is not None:
            first, last = (math.floor(near * factor) for factor in NEAR)
            self.units = self.folder(first, last).fastest()

    def plans(self, interval: int) -> tuple[UnitPlan, ...]:
        """Units for a frame interval: two pixels of the image a beat only where one a cycle would be too slow."""
        return self.shared or (self.wide if interval < self.pixels else self.narrow)

    def folder(self, fastest: int, slowest: int) -> Folder:
        """What folds the units for frame intervals up to `slowest`."""
        return Folder(self.plans(slowest), self.site, max(self.low, fastest), slowest)

    @property
    def pixels(self) -> int:
        """Of the image: as many cycles a frame takes at least, where one comes a cycle."""
        height, width, _ = self.net.input.shape
        return height * width

    @property
    def interval(self) -> int:
        """Clock cycles a frame of `units`."""
        return max(unit.interval_cycles for unit in self.units or ())

    @property
    def multipliers(self) -> int:
        """Multiply-accumulates a clock cycle of `units`."""
        return sum(unit.multipliers for unit in self.units or ())

    def design(self, units: tuple[Unit, ...]) -> Design:
        """The value that is handed out."""
        return Design(
            network=self.net.name,
            fingerprint=self.hash,
            board=self.site.board,
            clock_mhz=self.site.clock_mhz,
            units=units,
        )

    def fastest(self, slowest: int | None = None) -> Design:
        """The smallest frame interval that fits."""
        units = self.units or self.bisect(SPAN * self.low) or self.bisect(SLOWEST)
        if units is None:
            raise CheckFailed(self.too_big())
        best = self.cooler(self.design(units))
        if slowest is not None and best.frame_interval_cycles > slowest:
            raise CheckFailed(self.too_slow(best, slowest))
        return best

    def cooler(self, design: Design) -> Design:
        """The design, or one of its frame interval that draws less."""
        interval = design.frame_interval_cycles
        units = self.folder(interval, interval).coolest(interval)
        return design if units is None else min(design, self.design(units), key=lambda one: one.power.total_w)

    def bisect(self, slowest: int) -> tuple[Unit, ...] | None:
        """Units of the smallest interval up to `slowest` that fits."""
        units = self.folder(self.low, slowest).fastest()
        if units is None or self.wide is self.narrow or slowest < self.pixels:
            return units
        interval = max(unit.interval_cycles for unit in units)
        faster = self.folder(self.low, interval - 1).fastest() if interval <= self.pixels else None
        return faster or units

    def frugal(self, slowest: int | None) -> Design:
        """The least resources at a frame interval, or at any."""
        interval = SLOWEST if slowest is None else slowest
        if interval >= self.low:
            units = self.folder(interval // 4, interval).fold(interval)
            if units is not None:
                return self.design(units)
        return self.fastest(slowest)

    def too_slow(self, best: Design, slowest: int) -> str:
        """Why the target is out of reach: what is missing, by how much, and the nearest that works."""
        plans = self.wide if slowest < self.pixels else self.narrow
        least = Folder(plans, self.site, min(self.low, slowest), slowest).least(slowest)
        if any(math.isinf(value) for value in least.values()):
            missing = "no folding keeps that: some stream would have to move more than a pixel a cycle"
        elif short := excess(least, self.site.limits(slowest)):
            missing = "that takes at least " + shortage(short, self.site.limits(slowest))
        else:
            missing = "each resource alone would do for that, but not all of them at once"
        return (
            f"Network '{self.net.name}' on '{self.site.board.name}' at {self.site.clock_mhz:g} MHz cannot reach "
            f"{self.site.clock_mhz * 1e6 / slowest:.1f} FPS ({slowest} cycles a frame): {missing}. The best that fits "
            f"is {best.fps:.1f} FPS ({best.frame_interval_cycles} cycles); lower the target, or take fewer weight "
            "bits, a narrower network or a larger board."
        )

    def too_big(self) -> str:
        """Why nothing fits: what is missing, and by how much."""
        folder = self.folder(self.low, SLOWEST)
        limits = self.site.limits(SLOWEST)
        short = excess(folder.least(SLOWEST), limits)
        where = f"Network '{self.net.name}' does not fit board '{self.site.board.name}'"
        if not short:
            return (
                f"{where}: each resource alone would do, but no folding keeps all of them within "
                f"{', '.join(f'{limits[kind]:.0f} {TITLES[kind]}' for kind in ('dsp', 'lut', 'ff', 'bram36'))}; "
                "use fewer weight bits, a narrower network or a larger board."
            )
        if self.shared:
            where += ", with blocks that share compute units,"
        elif "bram36" in short:
            where += ", with all weights that may go there in LUTs and external memory,"
        missing = ", ".join(
            f"{TITLES[kind]} (needs {count(limits[kind] + over)}, allowed {count(limits[kind])}: {count(over)} short)"
            for kind, over in short.items()
        )
        return f"{where} for want of {missing}; use fewer weight bits, a narrower network or a larger board."


def shortage(short: Mapping[str, float], limits: Mapping[str, float]) -> str:
    """What passes its limit, and by how much."""
    return ", ".join(
        f"{count(limits[kind] + over)} {TITLES[kind]} ({count(limits[kind])} allowed)" for kind, over in short.items()
    )


def count(value: float) -> str:
    """A number of resources for people: whole, or with half a block RAM."""
    return f"{value:.1f}".removesuffix(".0")
