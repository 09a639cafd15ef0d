"""The RTL backend and engine behind the Python interface and the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import deepdive
from deepdive.backends.writers import writer
from deepdive.cli import app
from deepdive.errors import DeepDiveError
from deepdive.qnet import FeatureMap, Preprocess, QNet
from deepdive.simulation.engines import runner
from network_builder import NetworkBuilder, Numbers, random_codes


def tiny() -> QNet:
    """A 2x2 picture, averaged and classified."""
    builder = NetworkBuilder(FeatureMap("image", (2, 2, 3), 8), 1)
    pooled = builder.global_avg_pool("pool", builder.source, Numbers())
    builder.linear("logits", pooled, 4, Numbers())
    return builder.build("tiny", Preprocess((2, 2)), tuple("abcd"))


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("walk") / "build"
    deepdive.compile(tiny(), board="zcu102").write(folder, backend="rtl")
    return folder


def test_verify_climbs_to_the_rtl(build: Path) -> None:
    found = deepdive.verify(build, random_codes(tiny(), 3))
    assert [(rung.engine, rung.differing) for rung in found.rungs] == [("ONNX Runtime", 0), ("RTL simulation", 0)]


def test_simulate_and_synthesise_on_the_command_line(build: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    Image.fromarray(np.arange(75, dtype=np.uint8).reshape(5, 5, 3)).save(picture)
    run = CliRunner().invoke(app, ["simulate", str(build), "--images", str(picture), "--engine", "rtl", "--json"])
    assert run.exit_code == 0, run.output
    (guesses,) = json.loads(run.stdout).values()
    assert {guess["label"] for guess in guesses} <= set("abcd")
    pauses = ["--engine", "rtl", "--backpressure", "random", "--seed", "7"]
    run = CliRunner().invoke(app, ["simulate", str(build), "--images", str(picture), *pauses])
    assert run.exit_code == 0, run.output
    assert "(model 4), first frame after" in run.stdout
    assert "starved of" in run.stdout
    run = CliRunner().invoke(app, ["synthesise", str(build), "--unit", "tail", "--json"])
    assert run.exit_code == 0, run.output
    counts = json.loads(run.stdout)
    assert list(counts) == ["tail"]
    assert counts["tail"]["synthesised"]["dsp"] == counts["tail"]["modelled"]["dsp"]


def test_unknown_names_are_refused() -> None:
    with pytest.raises(DeepDiveError, match=r"Unknown backend 'vhdl'; did you mean 'hls'\? Known: hls, rtl"):
        writer("vhdl")
    with pytest.raises(DeepDiveError, match=r"Unknown engine 'sim'; did you mean 'csim'\? Known: bounded, csim, rtl"):
        runner("sim")
