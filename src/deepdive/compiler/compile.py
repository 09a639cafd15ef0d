"""compile: a QNet and a board in, a Design out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

from deepdive.compiler.budget import TITLES, Budget, excess
from deepdive.compiler.cascades import cascaded
from deepdive.compiler.design import Design
from deepdive.compiler.folding import SPAN, Folder, Site, fastest_interval
from deepdive.compiler.objectives import Ladder, Objective
from deepdive.compiler.partition import partition
from deepdive.compiler.plan import UnitPlan
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
"""Streamed units within this factor of the interval that the DSPs allow leave nothing for shared ones to gain. Pairs of
wide weights do not count here: with them block RAM is short before the DSPs, and the pipeline's simulation does not
converge in its passes for shared units beside streamed ones that are hardly faster."""
CLOSE = 1.01
"""Among shared units a hundredth of the speed is given up for fewer multipliers."""


def compile(
    net: QNet,
    *,
    board: str | Path | Board,
    clock_mhz: float | None = None,
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
        Default: the board's own.
    objective
        ``fps``: the most frames a second. ``fps-per-watt``, ``latency``: the best of a range of frame intervals.
        ``min-resources``: the least of the board's resources at `target_fps`.
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
    if objective == "min-resources" and target_fps is None:
        raise DeepDiveError("Objective 'min-resources' needs target_fps: how many frames a second to reach.")
    if target_fps is not None and not (math.isfinite(target_fps) and target_fps > 0):
        raise DeepDiveError(f"target_fps is {target_fps}; it must be positive.")
    site = make_site(board, clock_mhz, budget, dsp_instances=dsp_instances)
    compiler = find_compiler(net, site, sharing)
    slowest = math.floor(site.clock_mhz * 1e6 / target_fps) if target_fps else None
    if objective == "min-resources" and slowest and budget.power_w is budget.latency_ms is None:
        return compiler.frugal(slowest)
    return Ladder(compiler, slowest).best(objective)


def make_site(
    board: str | Path | Board, clock_mhz: float | None, budget: Budget, *, dsp_instances: bool = False
) -> Site:
    """Board, clock and budget, checked."""
    found = board if isinstance(board, Board) else load_board(board)
    clock = found.clock_mhz if clock_mhz is None else clock_mhz
    if not 0 < clock <= found.max_clock_mhz:
        raise DeepDiveError(f"Clock {clock:g} MHz is outside 0..{found.max_clock_mhz:g} MHz of board '{found.name}'.")
    return Site(found, clock, budget, dsp_instances)


def planned(net: QNet, site: Site) -> tuple[UnitPlan, ...]:
    """The network's units, all streamed, with the multipliers that the site asks for."""
    return cascaded(partition(net)) if site.dsp_instances else partition(net)


def find_compiler(net: QNet, site: Site, sharing: SharingMode) -> Compiler:
    """The compiler whose units, streamed or shared, are fastest; streamed ones when nothing fits.

    Raises
    ------
    CheckFailed
        When blocks must be shared, and none can, or no sharing fits.
    """
    streamed = Compiler(net, site)
    if sharing == "never":
        return streamed
    if sharing == "auto":
        units = streamed.bisect(SPAN * streamed.low)
        if units and max(unit.interval_cycles for unit in units) <= GOOD * streamed.single:
            return streamed
        streamed.units = units
    segments = Segments(streamed.plans, site, streamed.low, always=sharing == "always")
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
    segments = Segments(streamed.plans, site, streamed.low)
    one = segments.of(shared, interval or design.frame_interval_cycles)
    return Compiler(net, site, segments.plans(one))


class Compiler:
    """One network on one site.

    Parameters
    ----------
    plans
        Units with shared bodies among them; by default all are streamed.
    near
        About the frame interval for which those shared bodies were made.
    """

    def __init__(
        self, net: QNet, site: Site, plans: tuple[UnitPlan, ...] | None = None, near: int | None = None
    ) -> None:
        self.net, self.site = net, site
        every = planned(net, site)
        operations = [operation for plan in every for operation in plan.operations]
        self.low = fastest_interval(operations, site)
        self.single = fastest_interval(operations, site, wide_pairs=False)
        self.plans = every if plans is None else plans
        self.hash = fingerprint(net)
        self.units: tuple[Unit, ...] | None = None
        if near is not None:
            first, last = (math.floor(near * factor) for factor in NEAR)
            self.units = Folder(self.plans, site, max(first, self.low), last).fastest()

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
        best = self.design(units)
        if slowest is not None and best.frame_interval_cycles > slowest:
            raise CheckFailed(self.too_slow(best, slowest))
        return best

    def bisect(self, slowest: int) -> tuple[Unit, ...] | None:
        """Units of the smallest interval up to `slowest` that fits."""
        folder = Folder(self.plans, self.site, self.low, slowest)
        return folder.fastest()

    def frugal(self, slowest: int) -> Design:
        """The least resources at a frame interval."""
        if slowest >= self.low:
            units = Folder(self.plans, self.site, max(self.low, slowest // 4), slowest).fold(slowest)
            if units is not None:
                return self.design(units)
        return self.fastest(slowest)

    def too_slow(self, best: Design, slowest: int) -> str:
        """Why the target is out of reach: what is missing, by how much, and the nearest that works."""
        least = Folder(planned(self.net, self.site), self.site, min(self.low, slowest), slowest).least(slowest)
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
        folder = Folder(self.plans, self.site, self.low, SLOWEST)
        limits = self.site.limits(SLOWEST)
        short = excess(folder.least(SLOWEST), limits)
        where = f"Network '{self.net.name}' does not fit board '{self.site.board.name}'"
        if not short:
            return (
                f"{where}: each resource alone would do, but no folding keeps all of them within "
                f"{', '.join(f'{limits[kind]:.0f} {TITLES[kind]}' for kind in ('dsp', 'lut', 'ff', 'bram36'))}; "
                "use fewer weight bits, a narrower network or a larger board."
            )
        if any(operation.choices for plan in self.plans for operation in plan.operations):
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
