"""Float ONNX files, quantized with pictures on the way in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from deepdive.cli import app
from deepdive.errors import DeepDiveError
from deepdive.qnet.classify import logits_of
from deepdive.qnet.importers import import_network
from deepdive.qnet.importers.photographs import Photographs
from deepdive.qnet.onnx_file import load
from deepdive.qnet.preprocess import read_images
from foreign_networks import Separable, export_float, spread_statistics

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float file and twenty pictures."""
    folder = tmp_path_factory.mktemp("float")
    torch.manual_seed(0)
    module = Separable(nn.ReLU())
    spread_statistics(module)
    export_float(module, folder / "float.onnx")
    (folder / "pictures").mkdir()
    rng = np.random.default_rng(0)
    for index in range(20):
        pixels = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((40, 30), Image.Resampling.BICUBIC).save(folder / "pictures" / f"{index:02}.png")
    return folder


def test_a_float_network_answers_as_before(folder: Path) -> None:
    pictures = tuple(sorted((folder / "pictures").iterdir()))
    photographs = Photographs(MEAN, STD, 20, "bilinear", pictures)
    imported = import_network(folder / "float.onnx", photographs=photographs)
    net, deviation = imported.net, imported.deviation
    assert imported.source == "float ONNX"
    assert "Quantized to 8 bits by ONNX Runtime, with ranges from 20 pictures." in imported.notes
    assert deviation is not None
    assert deviation.codes <= 1
    assert deviation.share <= 0.01
    assert net.preprocess is not None
    ours = logits_of(net, read_images(list(pictures), net.preprocess))
    plain = type(net.preprocess)((16, 16), 20, "bilinear")
    reals = photographs.reals(read_images(list(pictures), plain)).transpose(0, 3, 1, 2)
    session = onnxruntime.InferenceSession(folder / "float.onnx", providers=["CPUExecutionProvider"])
    theirs = session.run(None, {"x": np.ascontiguousarray(reals)})[0]
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).mean() >= 0.9
    assert np.abs(ours - theirs).mean() < 0.1 * np.abs(theirs).max()


def test_the_command_takes_pictures_mean_and_std(folder: Path, tmp_path: Path) -> None:
    arguments = ["import", str(folder / "float.onnx"), "-o", str(tmp_path / "net.onnx"), "--mean", "0.5,0.5,0.5"]
    done = CliRunner().invoke(app, [*arguments, "--images", str(folder / "pictures"), "--std", "0.25,0.25,0.25"])
    assert done.exit_code == 0
    preprocess = load(tmp_path / "net.onnx").preprocess
    assert preprocess is not None
    assert preprocess.table is not None
    assert preprocess.resize_short is None
    assert len(set(preprocess.table[0])) > 200


def test_without_pictures_the_way_out_is_named(folder: Path) -> None:
    with pytest.raises(DeepDiveError, match="it is a float network; give pictures with --images"):
        import_network(folder / "float.onnx", photographs=Photographs(MEAN, STD))


def test_numbers_that_are_none_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DeepDiveError, match="std positive"):
        Photographs(std=(1.0, 0.0, 1.0))
    done = CliRunner().invoke(app, ["import", str(folder), "-o", str(tmp_path / "net.onnx"), "--mean", "1,2"])
    assert str(done.exception) == "--mean '1,2' is not three numbers such as 0.485,0.456,0.406."
