"""Which design is best: objectives, and limits of power and latency, over a range of frame intervals.

Shorter intervals draw more and answer sooner, longer ones draw less and answer later. So the designs are tried from
the fastest on, each with the least resources for its interval; where a limit begins or ends to hold, bisection looks
closer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from deepdive.compiler.design import Design
from deepdive.compiler.folding import Folder
from deepdive.errors import CheckFailed

if TYPE_CHECKING:
    from deepdive.compiler.compile import Compiler

Objective = Literal["fps", "fps-per-watt", "latency", "min-resources"]
SLOWER = (1.0, 1.15, 1.35, 1.6, 2.0, 2.5, 3.2, 4.0)
"""Frame intervals, as multiples of the smallest, that are looked at."""
SLOWEST = (6.0, 9.0, 13.0, 20.0, 30.0, 45.0, 64.0)
"""More of them, for a limit of power that none of the others keeps."""
MOST = 1 << 40
STEPS = 5
"""Bisections between two of them: the interval is then within one per cent."""

SCORES: dict[Objective, Callable[[Design], float]] = {
    "fps": lambda design: design.fps,
    "fps-per-watt": lambda design: design.fps / design.power.total_w,
    "latency": lambda design: -design.latency_cycles,
    "min-resources": lambda design: -taken(design),
}


def taken(design: Design) -> float:
    """Shares of the board's DSPs, LUTs, FFs and block RAM, added up."""
    used, has = design.resources, design.board.resources
    return used.dsp / max(has.dsp, 1) + used.lut / has.lut + used.ff / has.ff + used.bram36 / max(has.bram36, 1)


def latency_ms(design: Design) -> float:
    """Latency of a frame in milliseconds."""
    return design.latency_cycles / design.clock_mhz / 1e3


class Ladder:
    """Designs of ever longer frame intervals, none longer than `slowest`."""

    def __init__(self, compiler: Compiler, slowest: int | None) -> None:
        self.compiler, self.slowest, self.budget = compiler, slowest, compiler.site.budget
        best = compiler.fastest(slowest)
        self.fastest = best.frame_interval_cycles
        self.longest = min(math.floor(self.fastest * SLOWEST[-1]), slowest or MOST)
        self.designs = {self.fastest: best}
        self._folders: dict[bool, Folder] = {}

    def at(self, interval: int) -> Design | None:
        """The design of an interval; None beyond the slowest one, or where no folding was found."""
        if interval not in self.designs and interval <= self.longest:
            narrow = interval >= self.compiler.pixels
            if narrow not in self._folders:
                last = self.longest if narrow else min(self.longest, self.compiler.pixels - 1)
                self._folders[narrow] = self.compiler.folder(self.fastest, last)
            units = self._folders[narrow].fold(interval)
            if units:
                self.designs[interval] = self.compiler.design(units)
        return self.designs.get(interval)

    def climb(self) -> list[Design]:
        """The designs of `SLOWER`, that of the longest interval allowed, and more while the power limit asks."""
        intervals = {round(self.fastest * factor) for factor in SLOWER}
        if self.slowest is not None:
            intervals.add(self.longest)
        found = [design for interval in sorted(intervals) if (design := self.at(interval))]
        for factor in SLOWEST:
            if self.budget.power_w is None or any(design.power.total_w <= self.budget.power_w for design in found):
                break
            if design := self.at(math.floor(self.fastest * factor)):
                found.append(design)
        return found

    def keeps_power(self, design: Design) -> bool:
        """Whether it draws no more than allowed."""
        return self.budget.power_w is None or design.power.total_w <= self.budget.power_w

    def keeps_latency(self, design: Design) -> bool:
        """Whether a frame takes no longer than allowed; only a limit asks for the simulation."""
        return self.budget.latency_ms is None or latency_ms(design) <= self.budget.latency_ms

    def keeps(self, design: Design) -> bool:
        """Whether it keeps both limits."""
        return self.keeps_power(design) and self.keeps_latency(design)

    def closer(self, good: Design, bad: Design) -> Design:
        """The design nearest to `bad` that bisection finds to keep the limits; `good` does."""
        for _ in range(STEPS):
            interval = (good.frame_interval_cycles + bad.frame_interval_cycles) // 2
            design = self.at(interval)
            if design is None or design in (good, bad):
                break
            good, bad = (design, bad) if self.keeps(design) else (good, design)
        return good

    def best(self, objective: Objective) -> Design:
        """The design of the highest score among those that keep the limits.

        Raises
        ------
        CheckFailed
            When none does: what is least, and where.
        """
        if objective == "fps" and self.keeps(self.designs[self.fastest]):
            return self.designs[self.fastest]
        found = self.climb()
        kept = [design for design in found if self.keeps(design)]
        if not kept:
            raise CheckFailed(self.refusal(found))
        first, last = found.index(kept[0]), found.index(kept[-1])
        if first > 0:
            kept.append(self.closer(kept[0], found[first - 1]))
        if last + 1 < len(found):
            kept.append(self.closer(kept[-1], found[last + 1]))
        return max(kept, key=SCORES[objective])

    def refusal(self, found: list[Design]) -> str:
        """Why no design keeps the limits, and what is nearest."""
        site, power, latency = self.compiler.site, self.budget.power_w, self.budget.latency_ms
        floor = f" at {site.clock_mhz * 1e6 / self.slowest:,.1f} FPS or more" if self.slowest is not None else ""
        least = min(found, key=lambda design: design.power.total_w)
        soonest = min(found, key=lambda design: design.latency_cycles) if latency is not None else None
        reasons = []
        if power is not None and not any(map(self.keeps_power, found)):
            watts = least.power
            always = watts.static_w + watts.ps_w + watts.clock_w
            reasons.append(
                f"stay within {power:g} W{floor}: the least found is {watts.total_w:.2f} W at {least.fps:,.0f} FPS, "
                f"{always:.2f} W of it leakage, clocks and processing system ({watts.boundary})"
            )
        if latency is not None and soonest is not None and not any(map(self.keeps_latency, found)):
            reasons.append(
                f"answer within {latency:g} ms{floor}: the least latency found is {latency_ms(soonest):.3f} ms, "
                f"at {soonest.fps:,.0f} FPS"
            )
        if not reasons:
            cool = min(filter(self.keeps_power, found), key=lambda design: design.latency_cycles)
            quick = min(filter(self.keeps_latency, found), key=lambda design: design.power.total_w)
            reasons.append(
                f"keep {power:g} W and {latency:g} ms at once{floor}: within the power the least latency found is "
                f"{latency_ms(cool):.3f} ms, within the latency the least power {quick.power.total_w:.2f} W"
            )
        return (
            f"Network '{self.compiler.net.name}' on '{site.board.name}' at {site.clock_mhz:g} MHz cannot "
            + ", nor ".join(reasons)
            + "; allow that much, or take fewer weight bits, a narrower network or a smaller image."
        )
