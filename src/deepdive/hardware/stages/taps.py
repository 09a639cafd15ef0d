"""Taps of a depthwise filter, some of them a clock cycle: fewer multipliers a lane, more steps a pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Taps(BaseModel):
    """How the taps of a window meet the multipliers of a lane.

    Step s multiplies the taps ``order[s * parallel : (s + 1) * parallel]``; a filter is done after `steps` of them.

    Parameters
    ----------
    parallel
        Multipliers a lane.
    order
        Positions in the window's raster, every one once: those of the smallest filter first.
    steps
        That the layer at hand needs: taps behind them are zero.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    parallel: int = Field(ge=1)
    order: tuple[int, ...] = Field(min_length=1)
    steps: int = Field(ge=1)

    @model_validator(mode="after")
    def _covered(self) -> Taps:
        if sorted(self.order) != list(range(len(self.order))):
            raise ValueError(f"taps {list(self.order)} are no order of a window's taps")
        if self.steps > self.most_steps:
            raise ValueError(f"{len(self.order)} taps, {self.parallel} a step, do not take {self.steps} steps")
        return self

    @property
    def most_steps(self) -> int:
        """Steps that all taps of the window take."""
        return math.ceil(len(self.order) / self.parallel)

    def of_step(self, step: int) -> tuple[int, ...]:
        """The taps that a step multiplies; fewer than `parallel` in the last one."""
        return self.order[step * self.parallel : (step + 1) * self.parallel]


def all_at_once(taps: int) -> Taps:
    """A multiplier a tap."""
    return Taps(parallel=taps, order=tuple(range(taps)), steps=1)


def taps_of(
    kernel: tuple[int, int], window: tuple[int, int], kernels: Sequence[tuple[int, int]], parallel: int
) -> Taps:
    """Taps of a filter in the middle of a window that filters of several sizes share.

    Parameters
    ----------
    kernels
        Sizes of all filters: the taps of the smallest come first, then those that the next one adds.
    parallel
        Multipliers a lane; more than the window has taps are none.
    """
    every = range(window[0] * window[1])
    sizes = sorted(set(kernels), key=lambda size: (size[0] * size[1], size))
    rank = {tap: next((i for i, size in enumerate(sizes) if covers(size, window, tap)), len(sizes)) for tap in every}
    order = tuple(sorted(every, key=lambda tap: (rank[tap], tap)))
    parallel = min(parallel, len(order))
    last = max(place for place, tap in enumerate(order) if covers(kernel, window, tap))
    return Taps(parallel=parallel, order=order, steps=last // parallel + 1)


def covers(kernel: tuple[int, int], window: tuple[int, int], tap: int) -> bool:
    """Whether a filter in the middle of the window has a tap at this position of the window's raster."""
    position = divmod(tap, window[1])
    first = ((outer - inner) // 2 for outer, inner in zip(window, kernel, strict=True))
    return all(at <= p < at + size for p, at, size in zip(position, first, kernel, strict=True))
