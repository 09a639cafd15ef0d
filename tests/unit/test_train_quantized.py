"""Quantized training and quantization without pictures, as a user asks for them on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deepdive.cli import app
from deepdive.errors import DeepDiveError
from deepdive.qnet import Conv, Linear, onnx_file

SMALL = ("efficientnet_compact_32", "--width", "0.5", "--resolution", "8")
TRAIN = ("train", *SMALL, "--data", "digits", "--epochs", "1", "--batch-size", "400", "--cpu")


def deepdive(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def weight_bits(path: Path) -> list[int]:
    """Of the layers with weights, in order."""
    return [node.weight_bits for node in onnx_file.load(path).nodes if isinstance(node, Conv | Linear)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    done = deepdive(*TRAIN, "--weights", "4", "--activations", "5", "-o", folder, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["test_images"] == 185
    return folder


def test_training_quantized_ends_with_an_integer_network(run: Path) -> None:
    bits = weight_bits(run / "network.onnx")
    assert (bits[0], bits[-1]) == (8, 8)
    assert set(bits[1:-1]) == {4}
    inner = [node.output.bits for node in onnx_file.load(run / "network.onnx").nodes if isinstance(node, Conv)]
    assert set(inner) == {5}


def test_a_float_training_does_not_go_on_from_a_quantized_one(run: Path) -> None:
    before = (run / "checkpoint.safetensors").read_bytes()
    done = deepdive(*TRAIN, "-o", run, "--resume")
    assert isinstance(done.exception, DeepDiveError)
    assert "with other tensors (width, classes or quantization differ); name another folder" in str(done.exception)
    assert (run / "checkpoint.safetensors").read_bytes() == before


def test_a_pattern_that_matches_no_layer_is_named(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[quantization]\nweights = 4\n[quantization.layers."nowhere.*"]\nweights = 3\nactivations = 8\n')
    done = deepdive(*TRAIN, "--recipe", recipe, "-o", tmp_path / "run")
    assert isinstance(done.exception, DeepDiveError)
    assert "nowhere.*" in str(done.exception)
    assert not list(tmp_path.rglob("network.onnx"))


@pytest.mark.parametrize(("bits", "words"), [("1", "greater than or equal to 2"), ("9", "less than or equal to 8")])
def test_bits_outside_2_to_8_are_refused(tmp_path: Path, bits: str, words: str) -> None:
    done = deepdive(*TRAIN, "--weights", bits, "-o", tmp_path / "run")
    assert done.exit_code == 2
    assert words in done.output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("width", "bits"), [(0.5, 3), (0.75, 6)])
def test_width_and_bits_are_data(tmp_path: Path, width: float, bits: int) -> None:
    """Without pictures, at any width and number of bits: what a search over designs asks for."""
    path = tmp_path / "net.onnx"
    done = deepdive(
        *("quantize", "efficientnet_compact_32", "--width", width, "--resolution", "8", "--classes", "10"),
        *("--weights", bits, "--activations", bits, "-o", path, "--json"),
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["calibration_images"] == 0
    assert set(weight_bits(path)[1:-1]) == {bits}
