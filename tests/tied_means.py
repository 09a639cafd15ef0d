"""A network whose means lie between two codes all the time, and go to the even one."""

from __future__ import annotations

import numpy as np

from deepdive.qnet import AvgPool, FeatureMap, GlobalAvgPool, QNet, Requantize


def tied_means(padding: tuple[int, int, int, int] = (0, 0, 0, 0)) -> QNet:
    """2x2 means (each divided by 4, or by what lies inside the map), then the mean of a map of 4x4."""
    x = FeatureMap("image", (8, 8, 3), zero_point=7)
    middle = FeatureMap("mean", (4, 4, 3), 8, True, zero_point=-3)
    output = FeatureMap("whole", (1, 1, 3), 6, zero_point=1)
    mults, shifts = ([1], [2]) if not any(padding) else ([32768, 32768, 43691, 32768], [15, 16, 17, 17])
    first = Requantize(np.array(mults, np.uint16), np.array(shifts, np.uint8), -128, 127, "half_even")
    last = Requantize(np.array([1], np.uint16), np.array([4], np.uint8), 0, 63, "half_even")
    return QNet(
        "ties", x, (AvgPool("image", middle, first, (2, 2), (2, 2), padding), GlobalAvgPool("mean", output, last))
    )
