"""Shared units from the command line: compiled for a board too small for a unit a block, simulated, synthesised."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from deepdive.backends.build import read_build
from deepdive.cli import app
from deepdive.hardware.stages import SharedBody
from deepdive.hardware.stages.external import MEMORY_WORD_BYTES
from deepdive.qnet import Preprocess
from networks import Block, Separable


def small_board(folder: Path) -> Path:
    """A PYNQ-Z2 with few block RAMs."""
    text = (files("deepdive.hardware") / "boards" / "pynq-z2.toml").read_text()
    for before, after in (("bram36 = 140", "bram36 = 4"), ("lut = 53200", "lut = 10000")):
        assert before in text
        text = text.replace(before, after)
    path = folder / "small.toml"
    path.write_text(text)
    return path


def walk(*words: str | Path) -> str:
    run = CliRunner().invoke(app, [str(word) for word in words])
    assert run.exit_code == 0, run.output
    return run.stdout


@pytest.mark.slow
def test_a_shared_design_walks_the_command_line(tmp_path: Path) -> None:
    plan = Separable(8, 8, (4, 8), (Block(24), Block(24), Block(24)), features=8, classes=4)
    net, build, pictures = tmp_path / "net.onnx", tmp_path / "build", tmp_path / "pictures"
    plan.build(1, name="small", preprocess=Preprocess((8, 8)), labels=tuple("abcd")).save(net)
    pictures.mkdir()
    for index in range(2):
        pixels = np.random.default_rng(index).integers(0, 256, (9, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(pictures / f"{index}.png")

    walk("compile", net, "--board", small_board(tmp_path), "--sharing", "always", "--backend", "rtl", "-o", build)
    design = read_build(build).design
    shared = [(unit.name, stage) for unit in design.units for stage in unit.stages if isinstance(stage, SharedBody)]
    unit, stage = next((unit, stage) for unit, stage in shared if stage.weights == "external")
    assert len(stage.blocks) > 1
    words = sum(stage.weight_words(block) for block in stage.blocks)
    assert (build / "rtl" / f"{stage.name}_weights.bin").stat().st_size == MEMORY_WORD_BYTES * words

    found = json.loads(walk("verify", build, "--images", pictures, "--json"))
    assert [(rung["engine"], rung["differing"]) for rung in found["rungs"]] == [
        ("ONNX Runtime", 0),
        ("RTL simulation", 0),
    ]
    told = walk("simulate", build, "--images", pictures, "--engine", "rtl", "--backpressure", "random")
    assert f"(model {design.frame_interval_cycles:,})" in told
    assert f"The pipeline was never full; {3 * stage.batch} pictures or more show its pace." in " ".join(told.split())
    (counted,) = json.loads(walk("synthesise", build, "--unit", unit, "--json")).values()
    synthesised, modelled = counted["synthesised"], counted["modelled"]
    # A DSP48E1 multiplies 25 bits; the model counts for 27: a wide accumulator may take one more.
    assert modelled["dsp"] <= synthesised["dsp"] <= modelled["dsp"] + stage.output.lanes
    assert synthesised["bram36"] == modelled["bram36"] > 0
    assert modelled["lut"] == pytest.approx(synthesised["lut"], rel=0.15)
