"""Damaged files of other tools: the importer gives a network or one sentence, never anything else."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from deepdive.errors import DeepDiveError
from deepdive.qnet.importers import Photographs
from mutants import mutant
from victims import open_file, pictures, victims

FILES = {name: data for name, data in victims().items() if name != "own"}
BATCHES, MUTANTS = 10, 40
"""`benchmarks/fuzz.py` tries tens of thousands."""


def open_bytes(data: bytes, folder: Path) -> str:
    """ "opened", or the sentence that refuses; any other exception fails the test."""
    path = folder / "mutant.onnx"
    path.write_bytes(data)
    try:
        open_file(path, Photographs(pictures=pictures(folder)))
    except DeepDiveError as error:
        message = str(error)
        assert message.startswith(f"Cannot import '{path}': ")
        assert message.isprintable()
        return message
    return "opened"


@pytest.mark.parametrize("name", FILES)
def test_the_victims_are_sound(tmp_path: Path, name: str) -> None:
    assert open_bytes(FILES[name], tmp_path) == "opened"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("batch", range(BATCHES))
def test_mutants_are_opened_or_refused(tmp_path: Path, name: str, batch: int) -> None:
    rng = random.Random(f"ci {name} {batch}")
    outcomes = [open_bytes(mutant(FILES[name], rng), tmp_path) for _ in range(MUTANTS)]
    assert 0 < outcomes.count("opened") < MUTANTS


@pytest.mark.parametrize("name", FILES)
def test_every_truncation_is_refused(tmp_path: Path, name: str) -> None:
    for length in range(0, len(FILES[name]), 97):
        assert open_bytes(FILES[name][:length], tmp_path) != "opened"
