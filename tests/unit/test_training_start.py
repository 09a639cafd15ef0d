"""`deepdive train`: one command for one process and for many, and what it says of bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from deepdive.errors import DeepDiveError
from deepdive.training import Optimizer, Recipe, Watcher, Wish, start_training

SOURCE = Path(__file__).resolve().parents[2] / "src"
COMMAND = (
    "-m",
    "deepdive",
    "train",
    "efficientnet_compact_32",
    "--data",
    "digits",
    "--width",
    "0.5",
    "--resolution",
    "8",
)
RECIPE = Recipe(epochs=1, batch_size=8)


class Words(Watcher):
    def __init__(self) -> None:
        self.said: list[str] = []
        self.decoded = 0

    def say(self, words: str) -> None:
        self.said.append(words)

    def decode(self, done: int, of: int) -> None:
        self.decoded += 1


def deepdive(*arguments: str, launcher: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SOURCE)}
    return subprocess.run(
        [sys.executable, *launcher, *arguments], env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of ten pictures, one of them broken."""
    monkeypatch.setenv("DEEPDIVE_CACHE", str(tmp_path / "cache"))
    chance = np.random.default_rng(0)
    for name, brightness in (("dark", 60), ("light", 200)):
        folder = tmp_path / "pictures" / name
        folder.mkdir(parents=True)
        for index in range(10):
            pixels = chance.integers(brightness - 50, brightness + 50, (24, 20, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{index}.png")
    (tmp_path / "pictures" / "dark" / "3.png").write_bytes(b"broken")
    return tmp_path / "pictures"


def test_pictures_in_weights_and_facts_out(pictures: Path, tmp_path: Path) -> None:
    words = Words()
    wish = Wish("efficientnet_compact_32", str(pictures), RECIPE, tmp_path / "run", width=0.5, resolution=16)
    trained = start_training(wish, words)
    assert words.decoded == 20
    assert words.said == ["Skipped 1 unreadable image: dark/3.png."]
    assert trained.test.images == 2
    facts = json.loads((tmp_path / "run" / "training.json").read_text())
    assert facts["model"] == "efficientnet_compact_32"
    assert facts["classes"] == ["dark", "light"]
    assert (facts["resolution"], facts["width"]) == (16, 0.5)
    assert facts["skipped"] == ["dark/3.png"]
    assert facts["recipe"]["epochs"] == 1


def test_starts_from_given_weights(pictures: Path, tmp_path: Path) -> None:
    first = start_training(Wish("mobilenet_v2_32", str(pictures), RECIPE, tmp_path / "a", width=0.35), Words())
    still = RECIPE.model_copy(update={"optimizer": Optimizer(learning_rate=1e-12), "seed": 9})
    wish = Wish("mobilenet_v2_32", str(pictures), still, tmp_path / "b", width=0.35, checkpoint=first.network_file)
    given, kept = load_file(first.network_file), load_file(start_training(wish, Words()).network_file)
    torch.testing.assert_close(kept["classifier.1.weight"], given["classifier.1.weight"])


def test_the_order_of_starts_is_plain(pictures: Path, tmp_path: Path) -> None:
    wish = Wish("mobilenet_v2", str(pictures), RECIPE, tmp_path / "run", pretrained=True, checkpoint=tmp_path / "x")
    with pytest.raises(DeepDiveError, match="from the pretrained weights or from a checkpoint, not from both"):
        start_training(wish, Words())


@pytest.mark.slow
def test_the_same_command_for_one_process_and_two(tmp_path: Path) -> None:
    # Two steps: over more, rounding alone grows without bound. Batch norms left to each process differ by 1.5e-5 here.
    flags = ("--epochs", "1", "--batch-size", "800", "--seed", "3", "--cpu", "--json")
    alone = deepdive(*COMMAND, *flags, "-o", str(tmp_path / "alone"))
    assert alone.returncode == 0, alone.stderr
    one = json.loads(alone.stdout)
    assert one["test_images"] == 185
    assert one["network"] == str(tmp_path / "alone" / "network.safetensors")
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    together = deepdive(*COMMAND, *flags, "-o", str(tmp_path / "together"), launcher=torchrun)
    assert together.returncode == 0, together.stderr
    two = json.loads(together.stdout)  # one object: only the first process speaks
    assert two["test_loss"] == pytest.approx(one["test_loss"], rel=2e-6)


@pytest.mark.slow
def test_bad_input_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    for arguments, words in (
        (
            ("--learning-rate", "-1", "-o", str(tmp_path / "a")),
            "optimizer.learning_rate = -1.0: input should be greater",
        ),
        (("--batch-size", "4000", "-o", str(tmp_path / "b")), "A batch of 4000 is more than the 1612 training images"),
    ):
        done = deepdive(*COMMAND, *arguments)
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
