"""The runtime of an RTL design on a board that is files: memories given, registers set, errors of memory told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepdive.backends.build import write_build
from deepdive.backends.host.write_rtl import write_rtl_host
from deepdive.backends.writers import writers
from deepdive.compiler.design import Design
from deepdive.compiler.shared import Sharing
from deepdive.hardware.boards import load_board
from deepdive.hardware.rtl.status import MAGIC
from deepdive.hardware.stages import Dense
from deepdive.qnet import QNet
from networks import Block, Separable
from rtl.test_shared_body import SMALL
from shared_designs import shared_design

BOARD = Path(__file__).resolve().parents[1] / "board"
FRAMES = 5
STAGE = "body1_shared"


@pytest.fixture(scope="module")
def net() -> QNet:
    return Separable(8, 8, (4, 4), (Block(4), Block(4)), features=4, classes=2).build(0)


@pytest.fixture(scope="module")
def design(net: QNet) -> Design:
    """With weights of a shared unit and of streamed stages in external memory."""
    return shared_design(net, load_board("zcu102"), [(2, Sharing(SMALL))])


class Host:
    """A written runtime with a board and a few frames."""

    def __init__(self, folder: Path, design: Design, net: QNet, api: str) -> None:
        self.folder, self.api = folder, api
        write_rtl_host(design, net, folder)
        self.network = json.loads((folder / "network.json").read_text())
        accelerator = self.network["accelerator"]
        self.accelerator = {
            "magic": MAGIC,
            "registers": accelerator["registers"],
            "memories": {memory["base"]: memory["bytes"] for memory in accelerator["memories"]},
            "offset": 0x123,
        }
        registers = "".join(f'<MODULE INSTANCE="{name}"/>' for name in ("dma", "accelerator"))
        (folder / "deepdive.hwh").write_text(f"<SYSTEM>{registers}</SYSTEM>")
        for suffix in ("bit", "xclbin"):
            (folder / f"deepdive.{suffix}").touch()
        self.frames = np.random.default_rng(0).integers(0, 256, (FRAMES, *net.input.shape)).astype(np.uint8)
        np.save(folder / "frames.npy", self.frames)

    def run(
        self, *options: str, accelerator: dict[str, Any] | None = None, **board: object
    ) -> subprocess.CompletedProcess[str]:
        state = self.folder / "board.json"
        values = {"fingerprint": self.network["fingerprint"][:16], "units": {}, **board}
        state.write_text(json.dumps({**values, "accelerator": {**self.accelerator, **(accelerator or {})}}))
        state.with_suffix(".log").unlink(missing_ok=True)
        command = [
            sys.executable,
            "run.py",
            "frames.npy",
            "--timeout",
            "1",
            "--hwmon",
            "none",
            "--api",
            self.api,
            *options,
        ]
        environment = {"PATH": os.environ["PATH"], "FAKE_BOARD": str(state), "PYTHONPATH": str(BOARD)}
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=60
        )


@pytest.fixture(params=["pynq", "xrt"])
def host(tmp_path: Path, design: Design, net: QNet, request: pytest.FixtureRequest) -> Host:
    """The same board through either library."""
    return Host(tmp_path, design, net, request.param)


def test_memories_are_given_before_the_first_frame(host: Host, design: Design, net: QNet) -> None:
    """Weights and maps on pages of their own, whatever the allocator gives; errors of earlier runs are cleared."""
    done = host.run("-o", "codes.npy")
    assert (done.returncode, done.stderr) == (0, "power not measured: there is no INA226 sensor\n")
    sizes = host.accelerator["memories"]
    dense = [stage for unit in design.units for stage in unit.stages if isinstance(stage, Dense)]
    streamed = [stage.name for stage in dense if stage.weights == "external"]
    assert streamed
    stages = (STAGE, *streamed)
    files = {name: np.fromfile(host.folder / "weights" / f"{name}_weights.bin", dtype=np.uint8) for name in stages}
    assert json.loads((host.folder / "board.log").read_text()) == {
        **{f"{name}_weights_base": [0, len(data), int(data.sum())] for name, data in files.items()},
        f"{STAGE}_maps_base": [0, sizes[f"{STAGE}_maps_base"], 0],
    }
    assert all(len(data) == sizes[f"{name}_weights_base"] > 0 for name, data in files.items())
    sums = host.frames.reshape(FRAMES, -1).astype(np.int64).sum(axis=1)
    codes = ((np.arange(int(np.prod(net.output.shape))) * 7 + sums[:, None]) % 251).astype(net.output.dtype)
    assert (np.load(host.folder / "codes.npy") == codes.reshape(FRAMES, *net.output.shape)).all()


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        (
            {f"{STAGE}_weights_errors": 1},
            f"Memory '{STAGE}_weights' answered master '{STAGE}_weights' to a read with SLVERR",
        ),
        (
            {f"{STAGE}_blocks_errors": 0b1100},
            f"Memory '{STAGE}_maps' answered master '{STAGE}_blocks' to a write with SLVERR and a write with DECERR",
        ),
        ({f"{STAGE}_ends_errors": 2}, f"Memory '{STAGE}_maps' answered master '{STAGE}_ends' to a read with DECERR"),
    ],
)
@pytest.mark.parametrize("hang", [{}, {"hang_after": 2}])
def test_errors_of_memory_are_told(host: Host, errors: dict[str, int], message: str, hang: dict[str, int]) -> None:
    """When all frames come back as well as when none does."""
    done = host.run(accelerator={"errors": errors}, **hang)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {message}")
    assert "Traceback" not in done.stderr


def test_a_time_out_without_errors_stays_one(host: Host) -> None:
    done = host.run(hang_after=2)
    assert done.returncode == 1
    assert "frame 2 of 5 did not come back within 1 s" in done.stderr


def test_a_wrong_bitstream_is_refused_before_anything_runs(host: Host) -> None:
    done = host.run(fingerprint="0123456789abcdef")
    assert (done.returncode, (host.folder / "board.log").exists()) == (1, False)
    assert "The bitstream is of network 0123456789abcdef, this folder of 'drawn'" in done.stderr
    done = host.run(accelerator={"magic": 5})
    assert (done.returncode, (host.folder / "board.log").exists()) == (1, False)
    assert "Core 'accelerator' says 0x5, no accelerator of DeepDive's (0xdee9d1ce)" in done.stderr


def test_files_that_do_not_fit_are_refused(host: Host) -> None:
    path = host.folder / "weights" / f"{STAGE}_weights.bin"
    path.write_bytes(path.read_bytes()[:-16])
    done = host.run()
    assert done.returncode == 2
    assert f"bytes, want {host.accelerator['memories'][f'{STAGE}_weights_base']}; copy the whole folder." in done.stderr
    path.unlink()
    assert "No such file or directory; copy the whole folder." in host.run().stderr


def test_a_build_holds_the_runtime(tmp_path: Path, design: Design, net: QNet) -> None:
    write_build(design, net, tmp_path / "build", writers("rtl"))
    build = tmp_path / "build"
    assert {path.name for path in build.iterdir()} == {"rtl", "host", "design.json", "net.onnx"}
    name = f"{STAGE}_weights.bin"
    assert (build / "host" / "weights" / name).read_bytes() == (build / "rtl" / name).read_bytes()
