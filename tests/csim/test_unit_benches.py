"""The test bench of each unit alone, which the vendor's simulators run, compiled with g++ and our stand-in headers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deepdive.backends.vitis import write_project
from deepdive.backends.vitis.tcl import FRAMES
from deepdive.compiler.design import Design
from deepdive.hardware.boards import load_board
from foldings import drawn_design
from networks import four_block_network
from shared_designs import drawn_shared_design

FLAGS = ("-std=c++17", "-O0", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-label")


def bench(folder: Path, unit: str, stimulus: str) -> int:
    """Exit code of a unit's compiled bench, with the arguments that component.tcl gives it."""
    weights = sorted(str(path) for path in folder.glob(f"weights/{unit}_*.bin"))
    command = [f"./{unit}", str(FRAMES), stimulus, f"csim/golden/{unit}.bin", *weights]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode


@pytest.mark.slow
@pytest.mark.parametrize("draw", [drawn_design, drawn_shared_design], ids=["streamed", "shared"])
def test_every_unit_equals_the_chain_and_a_wrong_code_is_seen(tmp_path: Path, draw: Callable[..., Design]) -> None:
    net = four_block_network(0)
    design = draw(net, load_board("zcu102"), 1)
    write_project(design, net, tmp_path)
    environment = {**os.environ, "CXXFLAGS": "-O0"}
    made = subprocess.run(["make", "csim/golden/done"], cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert made.returncode == 0, made.stderr
    stimulus = "cosim/input.bin"
    for unit in design.units:
        command = [
            "g++",
            *FLAGS,
            "-I.",
            "-Iinclude",
            "-o",
            unit.name,
            f"cosim/{unit.name}.cpp",
            f"units/{unit.name}.cpp",
        ]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert bench(tmp_path, unit.name, stimulus) == 0
        golden = tmp_path / "csim" / "golden" / f"{unit.name}.bin"
        right = golden.read_bytes()
        golden.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
        assert bench(tmp_path, unit.name, stimulus) == 1
        golden.write_bytes(right[:-1])
        assert bench(tmp_path, unit.name, stimulus) == 2
        golden.write_bytes(right)
        stimulus = f"csim/golden/{unit.name}.bin"
