"""Why a design is as fast as it is, and what it would take to be twice as fast."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from deepdive.compiler.budget import KINDS, TITLES, Budget, usage
from deepdive.compiler.compile import SLOWEST, compiler_of, count, make_site
from deepdive.compiler.design import Design
from deepdive.compiler.folding import Folder, Site
from deepdive.compiler.pipeline import LABEL, simulate_pipeline
from deepdive.errors import CheckFailed
from deepdive.hardware.resources import Resources
from deepdive.hardware.stages import SharedBody
from deepdive.qnet import QNet

FULL = 0.9
"""From this share of its limit on a resource counts as used up."""
LARGER = 4
"""How many times the board's resources the bodies may take that are looked at for twice the speed."""


@dataclass(frozen=True)
class Explanation:
    """What `explain` found.

    Parameters
    ----------
    bottleneck
        Stages that set the frame interval, in order of the data flow.
    loads
        Share of its limit that each kind of resource takes, by title.
    needed
        Least of each kind that any folding of half the interval takes, each for itself, and the limit, by title; empty
        when no folding at all keeps half the interval.
    interval_cycles, latency_cycles
        Simulated.
    blocked
        Stages that most wait for room behind them, with cycles a frame; simulated.
    """

    design: Design
    bottleneck: tuple[str, ...]
    loads: dict[str, float]
    needed: dict[str, tuple[float, float]]
    interval_cycles: int
    latency_cycles: int
    blocked: tuple[tuple[str, int], ...]

    def summary(self) -> dict[str, Any]:
        """Plain values for ``compile --explain --json``."""
        return {
            "bottleneck": list(self.bottleneck),
            "loads": self.loads,
            "half_interval": {
                title: {"least": least, "allowed": allowed} for title, (least, allowed) in self.needed.items()
            },
            "interval_cycles": self.interval_cycles,
            "latency_cycles": self.latency_cycles,
            "blocked": dict(self.blocked),
            "label": LABEL,
            "text": list(self.lines),
        }

    @property
    def lines(self) -> tuple[str, ...]:
        """The explanation in sentences."""
        design = self.design
        interval = design.frame_interval_cycles
        names = ", ".join(self.bottleneck[:4]) + (" and more" if len(self.bottleneck) > 4 else "")
        full = [f"{title} {load:.0%}" for title, load in self.loads.items() if load >= FULL]
        found = [
            f"The frame interval of {interval:,} cycles is set by {len(self.bottleneck)} stage(s): {names}.",
            f"Used up of the budget: {', '.join(full) or 'nothing'}.",
        ]
        if not self.needed:
            found.append(
                f"Twice as fast ({interval // 2:,} cycles) is out of reach of any folding: some stream would have to "
                "move more than one pixel a cycle; take a smaller image or a higher clock."
            )
        else:
            short = [
                f"{count(most)} {title}, {count(most - limit)} more than allowed"
                for title, (most, limit) in self.needed.items()
                if most > limit
            ]
            found.append(
                f"Twice as fast ({interval // 2:,} cycles) takes at least "
                + ("; ".join(short) if short else "no more of any one resource, but too much of several at once")
                + ": fewer weight bits, a narrower network or a larger board."
            )
        bodies = (stage for unit in design.units for stage in unit.stages if isinstance(stage, SharedBody))
        found += [shared_line(body) for body in bodies]
        held = ", ".join(f"{name} ({cycles:,} cycles)" for name, cycles in self.blocked)
        found.append(
            f"{LABEL.capitalize()}: a frame every {self.interval_cycles:,} cycles, "
            f"latency {self.latency_cycles:,} cycles{'; held up for want of room: ' + held if held else ''}."
        )
        return tuple(found)


def shared_line(body: SharedBody) -> str:
    """Where the time of a shared body goes: its longest block, that one's slowest part, and what is no computation."""
    schedule, chains = body.schedule, [body.chain(block) for block in body.blocks]
    computing = sum(body.batch * max(stage.interval_cycles for stage in chain) for chain in chains)
    longest = max(range(len(schedule)), key=lambda index: schedule[index])
    part = max(chains[longest], key=lambda stage: stage.interval_cycles)
    return (
        f"{1 - computing / body.phase_cycles:.0%} of the time of '{body.name}' goes to filling, draining, loading and "
        f"starting its {len(body.blocks)} blocks ({body.batch} frames a batch); its longest block is "
        f"'{body.blocks[longest].nodes[0]}' to '{body.blocks[longest].nodes[-1]}' with "
        f"{schedule[longest] / body.phase_cycles:.0%} of the time, held up by its {part.name} stage."
    )


def least_for(net: QNet, site: Site, design: Design, interval: int) -> dict[str, float]:
    """The least of each kind that an interval takes with the same blocks shared, on however large a board."""
    more = {name: LARGER * count for name, count in site.board.resources.model_dump().items()}
    large = site.board.model_copy(update={"resources": Resources.model_validate(more)})
    try:
        compiler = compiler_of(net, replace(site, board=large), design, interval)
    except CheckFailed:
        return dict.fromkeys(KINDS, math.inf)
    return Folder(compiler.plans(interval), site, min(compiler.low, interval), SLOWEST).least(interval)


def explain(net: QNet, design: Design, budget: Budget) -> Explanation:
    """Look behind a design that `compile` found for `net` within `budget`."""
    interval = design.frame_interval_cycles
    site = make_site(design.board, design.clock_mhz, budget, dsp_instances=design.dsp_instances)
    limits = site.limits(interval)
    used = usage(design.units)
    stages = [stage for unit in design.units for stage in unit.stages]
    half = interval // 2
    needed: dict[str, tuple[float, float]] = {}
    if half >= 1:
        least, allowed = least_for(net, site, design, half), site.limits(half)
        if all(value < float("inf") for value in least.values()):
            needed = {TITLES[kind]: (least[kind], allowed[kind]) for kind in least}
    pipeline = simulate_pipeline(design.units)
    blocked = sorted(((s.name, s.blocked) for s in pipeline.stages if s.blocked), key=lambda pair: -pair[1])
    return Explanation(
        design=design,
        bottleneck=tuple(stage.name for stage in stages if stage.interval_cycles == interval),
        loads={TITLES[kind]: used[kind] / limits[kind] for kind in used if limits[kind]},
        needed=needed,
        interval_cycles=pipeline.interval_cycles,
        latency_cycles=design.latency_cycles,
        blocked=tuple(blocked[:3]),
    )
