"""Shared bodies in C++: several blocks on one set of multipliers, equal to the reference in every code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from batch import Case, check_cases

from deepdive.compiler.shared import Sharing
from deepdive.hardware.boards import load_board
from deepdive.hardware.stages import PointwiseFolding, SharedBody, SharedFolding
from networks import Block, Numbers, Separable, random_codes
from shared_designs import shared_design

BOARD = load_board("zcu102")
FOLDING = SharedFolding(
    expand=PointwiseFolding(in_lanes=4, out_parallel=8, lanes=4),
    middle_lanes=4,
    project=PointwiseFolding(in_lanes=4, out_parallel=4, lanes=4),
    memory_lanes=4,
)
WIDE = SharedFolding(
    expand=PointwiseFolding(in_lanes=2, out_parallel=12, lanes=12),
    middle_lanes=6,
    project=PointwiseFolding(in_lanes=6, out_parallel=4, lanes=2),
    memory_lanes=2,
    fabric=True,
)

# A residual block, a stride with a larger filter, a block without expansion, a residual block again; odd sizes and
# channel counts that no lanes divide.
MIXED = (Block(6), Block(10, kernel=5, stride=2), Block(10, expand=1), Block(10, expand=3))
TABLES = (Block(6, tables=True), Block(10, kernel=5, stride=2), Block(10, expand=1, tables=True), Block(10, expand=3))
SAME = (Block(6), Block(6))
# Squeeze-excite in the first block, in one with a stride, in one without expansion, and not in the last.
SQUEEZED = (Block(6, squeeze=3, tables=True), Block(10, 4, 5, 2, squeeze=4), Block(10, 1, squeeze=2), Block(10))

CASES: dict[str, tuple[tuple[Block, ...], list[tuple[int, Sharing]], int]] = {
    "all outside": (MIXED, [(4, Sharing(FOLDING, batch=2))], 3),
    "one weight buffer": (MIXED, [(4, Sharing(FOLDING, weight_buffers=1, batch=2))], 5),
    "weights inside": (MIXED, [(4, Sharing(FOLDING, weights="on_chip"))], 2),
    "maps inside": (MIXED, [(4, Sharing(FOLDING, maps="on_chip", batch=3))], 4),
    "all inside": (TABLES, [(4, Sharing(WIDE, maps="on_chip", weights="on_chip", batch=2))], 4),
    "some taps a step": (MIXED, [(4, Sharing(FOLDING.model_copy(update={"taps": 9}), batch=2))], 3),
    "few taps a step": (MIXED, [(4, Sharing(WIDE.model_copy(update={"taps": 4}), weights="on_chip"))], 3),
    "other lanes": (TABLES, [(4, Sharing(WIDE, batch=2))], 3),
    "every block has every part": (SAME, [(2, Sharing(FOLDING, batch=4))], 5),
    "one block alone": (SAME, [(1, Sharing(FOLDING)), (1, Sharing(FOLDING, maps="on_chip"))], 2),
    "two units": (MIXED, [(2, Sharing(FOLDING, batch=3)), (2, Sharing(WIDE, weights="on_chip", batch=2))], 4),
    "squeezed outside": (SQUEEZED, [(4, Sharing(FOLDING, batch=2))], 3),
    "squeezed inside": (SQUEEZED, [(4, Sharing(WIDE, maps="on_chip", weights="on_chip", batch=2))], 4),
    "one squeezed block alone": (SQUEEZED, [(1, Sharing(FOLDING, maps="on_chip")), (2, Sharing(WIDE))], 2),
    "shared, then streamed": (MIXED, [(2, Sharing(FOLDING))], 2),
}


@pytest.mark.parametrize("bits", [8, 4])
def test_every_unit_equals_the_reference(tmp_path: Path, bits: int) -> None:
    """Batches of one to four frames, the last one of a call not full; two calls where there are more than three."""
    cases = []
    for index, (blocks, runs, frames) in enumerate(CASES.values()):
        numbers = Numbers(weight_bits=bits, weight_zero_points=index % 2 == 1, signed=index % 3 == 2)
        net = Separable(height=22, width=18, stem=(8, 6), blocks=blocks, activations=numbers).build(index)
        design = shared_design(net, BOARD, runs, seed=index, prefix=f"case{index}_")
        cases.append(Case(net, design, random_codes(net, frames, seed=index), frames_a_call=3))
    check_cases(cases, tmp_path)
    compared = [check_maps_between_blocks(case, tmp_path / f"case{index}") for index, case in enumerate(cases)]
    assert sum(compared) == 36


def check_maps_between_blocks(case: Case, folder: Path) -> int:
    """What the memory of each shared unit holds at the end, against the reference; returns the maps compared."""
    compared = 0
    wanted = case.net.run(case.images, every=True)
    assert isinstance(wanted, dict)
    for unit in case.design.units:
        for stage in unit.stages:
            if not isinstance(stage, SharedBody) or stage.maps != "external":
                continue
            memory = np.fromfile(folder / f"{unit.name}_{stage.name}_maps.bin", dtype=np.uint8)
            call = (len(case.images) - 1) % case.frames_a_call + 1
            frames = (call - 1) % stage.batch + 1
            for index in range(1, len(stage.blocks)):
                codes = wanted[stage.blocks[index - 1].nodes[-1]][-frames:]
                shape = height, width, channels = stage.map_shape(index)
                start, words = stage.map_places[index] * stage.folding.memory_lanes, stage.words(shape)
                size = words * stage.folding.memory_lanes
                found = memory[start : start + frames * size].reshape(frames, height, width, -1)
                low = case.net.maps[stage.blocks[index - 1].nodes[-1]].q_min
                assert np.array_equal(found[..., :channels].astype(np.int16) + low, codes.reshape(-1, *shape))
                compared += 1
    return compared
