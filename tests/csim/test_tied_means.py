"""Means that lie exactly between two codes, in the emitted C++."""

from __future__ import annotations

from pathlib import Path

from batch import Case, check_cases

from deepdive.hardware.boards import load_board
from foldings import drawn_design
from networks import random_codes
from tied_means import tied_means

BOARD = load_board("zcu102")


def test_they_go_to_the_even_one(tmp_path: Path) -> None:
    nets = [tied_means(), tied_means((1, 1, 0, 0))]
    designs = [drawn_design(net, BOARD, 0, prefix=f"case{index}_") for index, net in enumerate(nets)]
    cases = [Case(net, design, random_codes(net, 8), 4) for net, design in zip(nets, designs, strict=True)]
    check_cases(cases, tmp_path)
