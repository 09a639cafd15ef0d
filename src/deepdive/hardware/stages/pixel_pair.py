"""Two neighbouring output pixels of a depthwise filter in one window: both share its weights' multipliers."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field

ROOM = 2
"""Beats that a FIFO of the RTL holds beyond those that must wait: one on its way in, one in the output register."""


class PixelPair(BaseModel):
    """The window that two pixels of a row need together: as high as the filter, and a stride wider.

    Such a window is one of an ordinary `Window` with kernel `window` and twice the filter's horizontal stride.

    Parameters
    ----------
    kernel
        (rows, columns) of the filter.
    step
        Columns from the first pixel's filter to the second one's: the filter's horizontal stride.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kernel: tuple[int, int]
    step: int = Field(ge=1)

    @property
    def window(self) -> tuple[int, int]:
        """(rows, columns) of the window."""
        return self.kernel[0], self.kernel[1] + self.step

    @property
    def filter_taps(self) -> int:
        """Taps of the filter."""
        return math.prod(self.kernel)

    @property
    def window_taps(self) -> int:
        """Taps of the window: fewer than twice the filter's where the two overlap."""
        return math.prod(self.window)

    def taps_of(self, pixel: int) -> tuple[int, ...]:
        """Positions of the filter's taps in the window's raster, of the first pixel (0) or the second one (1)."""
        rows, columns = self.kernel
        return tuple(y * self.window[1] + pixel * self.step + x for y in range(rows) for x in range(columns))


def waiting_beats(groups: int) -> tuple[int, int]:
    """How many beats of codes wait for their turn: of the first pixels, and of the second ones.

    Both pixels' codes are made at once, half of a beat a step, and leave a beat a step: all `groups` beats of the first
    pixel, then all of the second one. The first pixel's last beat leaves as soon as it is whole, and up to half of its
    beats wait for that; the second pixel's all wait while the first one's leave.
    """
    return math.ceil(groups / 2) + ROOM, groups + ROOM
