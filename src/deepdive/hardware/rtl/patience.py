"""How long the windows of a design wait for their next frame before they go on without it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from deepdive.hardware.stages import Window
from deepdive.hardware.units import Unit


def pauses(units: Sequence[Unit]) -> dict[str, int]:
    """Clock cycles without a beat in which a window's next frame may well be on its way, by name of the stage.

    When a design never waits for pictures, each pixel of a map has the same share of the frame interval. A stage that
    is faster than the slowest one pauses in every share, and so it does between two frames.
    """
    interval = max(unit.interval_cycles for unit in units)
    windows = [stage for unit in units for stage in unit.stages if isinstance(stage, Window)]
    return {stage.name: math.ceil(interval * stage.input.groups / stage.input.beats) for stage in windows}
