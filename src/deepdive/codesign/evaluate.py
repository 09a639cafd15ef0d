"""One candidate: its integer network (random weights: shapes and bits are what counts), its design, its accuracy."""

from __future__ import annotations

import numpy as np

from deepdive.codesign.result import Outcome
from deepdive.codesign.space import Candidate
from deepdive.compiler.budget import Budget
from deepdive.compiler.compile import compile as compile_network
from deepdive.hardware.boards import Board
from deepdive.models import zoo
from deepdive.qnet import QNet
from deepdive.quantization.calibrate import Calibration
from deepdive.quantization.quantize import QuantizeOptions, quantize

QUICK = QuantizeOptions(calibration=Calibration(search_weights=False, correct="nothing"))


def network(candidate: Candidate) -> QNet:
    """The candidate as an integer network, calibrated on noise: its codes mean nothing, its hardware is the same.

    The search looks at shapes, bits and the widths of accumulators and multipliers, which hardly depend on weights.
    """
    spec = zoo.find(candidate.model)
    model = zoo.build(candidate.model, width=candidate.width, resolution=candidate.resolution)
    side = candidate.resolution
    noise = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), dtype=np.uint8)
    bits = candidate.weights, candidate.activations
    return quantize(model, noise, *bits, mean=spec.mean, std=spec.std, options=QUICK)


def figures(
    candidate: Candidate, accuracy: float, board: Board, budget: Budget, *, dsp_instances: bool = False
) -> Outcome:
    """The fastest design of a candidate within the budget; CheckFailed when there is none."""
    design = compile_network(network(candidate), board=board, budget=budget, dsp_instances=dsp_instances)
    power = design.power
    return Outcome(
        candidate=candidate,
        accuracy=accuracy,
        fps=design.fps,
        power_w=power.total_w,
        power_low_w=power.low,
        power_high_w=power.high,
        frame_interval_cycles=design.frame_interval_cycles,
        resources=design.resources,
    )
