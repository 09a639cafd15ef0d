"""The command line as a user meets it: a process, its exit code, its words."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from deepdive.cli import app
from deepdive.qnet import QNet
from networks import four_block_network

MEBIBYTE = 1 << 20


def run(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """The command `deepdive` with a wide terminal and no colours."""
    command = [sys.executable, "-m", "deepdive", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", **options.pop("env", {})}  # type: ignore[dict-item]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, **options)  # type: ignore[call-overload,no-any-return]


def refused(done: subprocess.CompletedProcess[str], code: int = 2) -> str:
    """The one sentence of a failed command."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ")
    return done.stderr.removeprefix("error: ").strip()


@pytest.fixture(scope="module")
def net() -> QNet:
    return four_block_network(3)


@pytest.fixture(scope="module")
def net_file(net: QNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    net.save(path)
    return path


@pytest.fixture(scope="module")
def build(net_file: Path) -> Path:
    folder = net_file.parent / "build"
    done = run("compile", net_file, "--board", "zcu102", "-o", folder, "--json")
    assert done.returncode == 0, done.stderr
    return folder


def test_help_names_every_command_and_each_explains_itself() -> None:
    done = run("--help")
    assert done.returncode == 0
    names = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    assert {"demo", "models", "boards", "quantize", "evaluate", "compile", "simulate", "verify", "report"} <= {*names}
    for name in names:
        assert f" {name} " in done.stdout
        shown = CliRunner().invoke(app, [name, "--help"])
        assert shown.exit_code == 0
        assert "--help" in shown.stdout


def test_models_and_boards_are_listed() -> None:
    assert {"mobilenet_v2", "efficientnet_lite0"} <= {
        item["name"] for item in json.loads(run("models", "--json").stdout)
    }
    assert "zcu102" in {item["name"] for item in json.loads(run("boards", "--json").stdout)}
    assert "efficientnet_lite0" in run("models").stdout
    assert "zcu102" in run("boards").stdout


def test_quantize_writes_a_network(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    rng = np.random.default_rng(5)
    for index in range(3):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(pictures / f"{index}.png")
    out = tmp_path / "net.onnx"
    done = run(
        *(
            "quantize",
            "mobilenet_v2",
            "--width",
            "0.35",
            "--resolution",
            "32",
            "--images",
            pictures,
            "-o",
            out,
            "--json",
        )
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["calibration_images"] == 3
    assert "random weights" in done.stderr
    assert out.is_file()


def test_compile_json_has_the_stable_keys(net_file: Path, tmp_path: Path) -> None:
    done = run("compile", net_file, "--board", "zcu102", "-o", tmp_path / "build", "--json")
    said = json.loads(done.stdout)
    assert set(said) >= {
        *("board", "clock_mhz", "frame_interval_cycles", "latency_cycles", "fps", "resources", "mac_utilization"),
        *("power_w", "fps_per_watt", "label", "units"),
    }
    assert set(said["resources"]) == {"dsp", "lut", "ff", "bram36", "uram"}
    assert said["fps"] == said["clock_mhz"] * 1e6 / said["frame_interval_cycles"]


def test_a_clock_is_a_number_or_free(net_file: Path, tmp_path: Path) -> None:
    done = run("compile", net_file, "--board", "zcu102", "--clock", "fast", "-o", tmp_path / "build")
    assert done.returncode == 2
    assert "Clock 'fast' is neither a number of MHz nor 'auto'." in done.stderr
    done = run("compile", net_file, "--board", "zcu102", "--clock", "auto", "-o", tmp_path / "build", "--json")
    assert json.loads(done.stdout)["clock_mhz"] == 250


def test_report_writes_a_page_and_says_the_same(build: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = run("report", build, "-o", page)
    assert done.returncode == 0, done.stderr
    assert "All modelled" in done.stdout
    assert page.read_text().startswith("<!doctype html>")


def test_unknown_names_get_the_nearest(net_file: Path, tmp_path: Path) -> None:
    done = run("compile", net_file, "--board", "zcu12", "-o", tmp_path / "b")
    assert "Unknown board 'zcu12'; did you mean 'zcu102'?" in refused(done)
    done = run("quantize", "mobilnet_v2", "--images", tmp_path, "-o", tmp_path / "n.onnx")
    assert "There is no model 'mobilnet_v2'; did you mean 'mobilenet_v2'?" in refused(done)


def test_only_verilog_has_instances_of_dsps(net_file: Path, tmp_path: Path) -> None:
    done = run("compile", net_file, "--board", "zcu102", "--dsp-instances", "-o", tmp_path / "b")
    assert refused(done) == "Backend 'hls' has no instances of DSPs; use --backend rtl."


def test_files_that_are_no_network(net_file: Path, tmp_path: Path) -> None:
    text, cut = tmp_path / "text.onnx", tmp_path / "cut.onnx"
    text.write_text("this is no network")
    cut.write_bytes(net_file.read_bytes()[:-1000])
    for path in (text, cut, tmp_path / "missing.onnx"):
        assert str(path) in refused(run("compile", path, "--board", "zcu102", "-o", tmp_path / "b"))
    assert not (tmp_path / "b").exists()


def test_an_image_that_is_none(build: Path, tmp_path: Path) -> None:
    fake = tmp_path / "fake.jpg"
    fake.write_text("no picture")
    said = refused(run("verify", build, "--images", fake))
    assert str(fake) in said
    assert "is no readable image" in said or "does not say how pictures become its input" in said


def test_a_missing_compiler_is_named(build: Path, net: QNet, tmp_path: Path) -> None:
    from deepdive.backends.build import read_build
    from deepdive.errors import DeepDiveError
    from deepdive.simulation.csim import run_csim

    images = np.zeros((1, *net.input.shape), net.input.dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        with pytest.raises(DeepDiveError, match=r"and 'g\+\+' is not installed"):
            run_csim(read_build(build), images)


def test_a_folder_that_is_no_build(tmp_path: Path) -> None:
    assert refused(run("report", tmp_path)) == (
        f"'{tmp_path}' is no build folder (no design.json); write one with 'deepdive compile'."
    )


def test_a_users_own_folder_is_not_overwritten(net_file: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    said = refused(run("compile", net_file, "--board", "zcu102", "-o", tmp_path))
    assert said == f"'{tmp_path}' holds files that DeepDive did not write (no design.json); name an empty folder."
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_full_disk_leaves_nothing_half_written(net_file: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: the system refuses the write in the middle of a file."""
    done = run(
        *("compile", net_file, "--board", "zcu102", "-o", tmp_path / "build"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024)),
        env={"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert "Cannot write" in refused(done)
    assert list(tmp_path.iterdir()) == []
