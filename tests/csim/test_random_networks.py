"""Drawn networks in drawn foldings: every stage template with every option, equal to the reference in every code.

The hypothesis seed is fixed, so every run draws the same cases; DEEPDIVE_EXAMPLES asks for so many times as many.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from batch import Case, check_cases
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deepdive.compiler.design import Design
from deepdive.hardware.boards import load_board
from deepdive.hardware.stages import Depthwise
from deepdive.qnet import QNet
from foldings import drawn_design
from networks import (
    OPERATOR_NETWORKS,
    SEEDS,
    branched_networks,
    paired_networks,
    random_codes,
    separable_networks,
)
from shared_designs import drawn_shared_design

BOARD = load_board("zcu102")
EXAMPLES = int(os.environ.get("DEEPDIVE_EXAMPLES", "1"))
"""How often as many networks a test draws; the first one that hypothesis draws is the smallest there is."""

NETWORKS: dict[str, tuple[st.SearchStrategy[QNet], int]] = {
    "conv": (OPERATOR_NETWORKS["Conv"](), 20),
    "linear": (OPERATOR_NETWORKS["Linear"](), 12),
    "add": (OPERATOR_NETWORKS["Add"](), 12),
    "scale": (OPERATOR_NETWORKS["ChannelScale"](), 12),
    "max": (OPERATOR_NETWORKS["MaxPool"](), 12),
    "mean": (OPERATOR_NETWORKS["AvgPool"](), 16),
    "concat": (OPERATOR_NETWORKS["Concat"](), 12),
    "branches": (branched_networks(), 8),
    "flatten": (OPERATOR_NETWORKS["Flatten"](), 12),
    "pad": (OPERATOR_NETWORKS["Pad"](), 12),
    "table": (OPERATOR_NETWORKS["Table"](), 12),
    "pool": (OPERATOR_NETWORKS["GlobalAvgPool"](), 8),
    "separable": (separable_networks(), 10),
    "excited": (separable_networks(excited=True), 6),
    "pairs": (paired_networks(), 20),
    "padded": (separable_networks(prime=True), 8),
    "padded and excited": (separable_networks(excited=True, prime=True), 6),
    "shared": (separable_networks(), 12),
    "shared and excited": (separable_networks(excited=True), 6),
}
"""What to draw, and how many of them: one run of the compiler. Every map of "padded" ones travels with more channels
than it has, and a few of the others'; windows of "pairs" hold two pixels, and every second one of the others; bodies of
"shared" ones run on shared units, if they can."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", NETWORKS)
def test_every_unit_equals_the_reference(kind: str) -> None:
    strategy, count = NETWORKS[kind]
    draw: Callable[..., Design] = drawn_shared_design
    if not kind.startswith("shared"):
        padded, paired = 1.0 if kind.startswith("padded") else 0.3, 1.0 if kind == "pairs" else 0.5
        draw = partial(drawn_design, padded=padded, paired=paired)
    cases: list[Case] = []

    @settings(
        max_examples=EXAMPLES * count,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy, SEEDS, st.integers(1, 3))
    def collect(net: QNet, seed: int, frames: int) -> None:
        cases.append(drawn_case(draw, len(cases), net, seed, frames))

    collect()
    assert len(cases) == EXAMPLES * count
    assert kind != "pairs" or any(has_pairs(case.design) for case in cases)
    for first in range(0, len(cases), count):
        with tempfile.TemporaryDirectory() as folder:
            check_cases(cases[first : first + count], Path(folder))


def has_pairs(design: Design) -> bool:
    """Whether two pixels share multipliers anywhere."""
    stages = [stage for unit in design.units for stage in unit.stages]
    return any(isinstance(stage, Depthwise) and stage.pixel_pair for stage in stages)


def drawn_case(draw: Callable[..., Design], index: int, net: QNet, seed: int, frames: int) -> Case:
    """A folding of `net`; two frames in a call of a unit, so that a third one comes in a call of its own."""
    design = draw(net, BOARD, seed, prefix=f"case{index}_")
    return Case(net, design, random_codes(net, frames, seed), frames_a_call=2)
