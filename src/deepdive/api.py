"""The Python interface: the verbs of the command line as functions."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import PrivateAttr

from deepdive.backends.build import read_build, write_build
from deepdive.backends.writers import Backend, writers
from deepdive.compiler import design
from deepdive.compiler.budget import Budget
from deepdive.compiler.compile import DEFAULT_BUDGET, SharingMode
from deepdive.compiler.compile import compile as compile_network
from deepdive.compiler.front import Front, find_front
from deepdive.compiler.objectives import Objective
from deepdive.qnet import QNet, onnx_file
from deepdive.qnet.importers import FloatFile, Photographs, import_network
from deepdive.simulation.verify import Verification
from deepdive.simulation.verify import verify as climb

__all__ = ["Budget", "Design", "compile", "import_", "load", "verify"]


class Design(design.Design):
    """A design together with the network it computes, so that it can be written."""

    _net: QNet = PrivateAttr()

    def front(self, budget: Budget = DEFAULT_BUDGET) -> Front:
        """The Pareto front of the network on this board and clock: FPS, W, latency, resources; this design is on it."""
        return find_front(self._net, self, budget)

    def write(self, path: str | Path, backend: Backend = "hls") -> None:
        """Write the build folder: design, network and the backend's project, whole or not at all."""
        write_build(self, self._net, path, writers(backend))


def compile(
    net: QNet,
    board: str | Path,
    *,
    clock_mhz: float | Literal["auto"] | None = None,
    objective: Objective = "fps",
    target_fps: float | None = None,
    budget: Budget = DEFAULT_BUDGET,
    sharing: SharingMode = "auto",
    dsp_instances: bool = False,
) -> Design:
    """Fit a network to a board.

    Parameters
    ----------
    board
        A name that `deepdive boards` lists, or the path of a board file.
    clock_mhz
        The board's own clock when None; ``auto``: that or a slower one, whichever serves the objective best.
    objective, target_fps
        What to look for, and frames a second that it must reach.
    budget
        Fractions of the board that may be taken, watts that may be drawn, milliseconds that a frame may take.
    sharing
        Whether consecutive blocks may share a compute unit: where that is faster, ``never``, or ``always``.
    dsp_instances
        Multipliers are instances of the board's DSP48E1 or DSP48E2, which sum their products themselves: fewer LUTs, or
        a faster design. Only the RTL backend writes such a design.

    Raises
    ------
    UnsupportedLayer
        Naming the node that no compute unit maps.
    CheckFailed
        When nothing fits: what is missing, and by how much.
    """
    found = compile_network(
        net,
        board=board,
        clock_mhz=clock_mhz,
        objective=objective,
        target_fps=target_fps,
        budget=budget,
        sharing=sharing,
        dsp_instances=dsp_instances,
    )
    named = Design.model_validate(found.model_dump())
    named._net = net
    return named


def import_(
    source: str | Path,
    *,
    repair: bool = False,
    keep_bits: bool = False,
    photographs: Photographs | None = None,
    weights: int = 8,
    activations: int = 8,
) -> QNet:
    """Turn a network from elsewhere into an integer network.

    Parameters
    ----------
    source
        A file or folder; see `deepdive.qnet.importers.import_network`, which also says what was kept and measured.
    repair
        Mend the known defects of the paper's published network.
    keep_bits
        Of a quantized ONNX file: keep the weights' bits, even where biases are then met only roughly.
    photographs
        How photographs become the input of an ONNX file; a float one is quantized with its pictures.
    weights, activations
        Bits of a float file, 2..8.
    """
    try:
        return import_network(source, repair=repair, keep_bits=keep_bits, photographs=photographs).net
    except FloatFile:
        if photographs is None or not photographs.pictures:
            raise
    # Imported here: all else runs where torch is not installed.
    from deepdive.quantization.from_onnx import Options, import_float

    return import_float(source, Options(photographs, weights, activations)).net


def load(path: str | Path) -> QNet:
    """An integer network: a file of DeepDive, or one from elsewhere that is quantized already.

    Raises
    ------
    DeepDiveError
        Naming the file, the node and the reason.
    """
    foreign = Path(path).exists() and not onnx_file.is_own(path)
    return import_(path) if foreign else onnx_file.load(path)


def verify(build: str | Path, images: np.ndarray) -> Verification:
    """Climb the ladder on a build folder with input codes, uint8 (batch, height, width, channels).

    The result says how many values each engine gave that differ from the reference; `check()` raises when any does.
    """
    return climb(read_build(build), images)
