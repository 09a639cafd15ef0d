"""C simulation: compiles the emitted C++ project and runs it on input codes."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np

from deepdive.backends.build import Build
from deepdive.compiler.design import Design
from deepdive.errors import CheckFailed, DeepDiveError
from deepdive.qnet import QNet
from deepdive.qnet.reference import check_images

PROJECT = "hls"
EXECUTABLE = Path("csim") / "testbench"
BOUNDED = Path("csim") / "bounded"
"""The same with all stages side by side and FIFOs as deep as in hardware."""
INPUT_FILE = "input.bin"
FRAMES_A_CALL = 3
"""Frames in one call of a unit: more than one, so that frames overlap; few, because streams hold all of them."""

UNIT_LINE = re.compile(r"unit (\w+) frames \d+ to \d+ seconds ([0-9.]+)")
TOOLS = {"g++": "a C++17 compiler", "make": "GNU make"}

Progress = Callable[[str], None]


@dataclass(frozen=True)
class CSimulation:
    """What a run gave.

    Parameters
    ----------
    maps
        Codes (frames, height, width, channels) that each unit wrote, by name of the feature map.
    unit_seconds
        Time in each unit's C++, all frames, by name of the unit.
    """

    maps: dict[str, np.ndarray]
    unit_seconds: dict[str, float]

    @property
    def seconds(self) -> float:
        """Time in the units' C++, all frames."""
        return sum(self.unit_seconds.values())


def run_csim(build: Build, images: np.ndarray, progress: Progress | None = None) -> dict[str, np.ndarray]:
    """Compile the build's C++ project and run it on input codes (batch, height, width, channels).

    Returns
    -------
    Codes (batch, height, width, channels) of every unit's output, by name of the feature map.

    Raises
    ------
    DeepDiveError
        When a tool or the project is missing, or the compiler gives up.
    CheckFailed
        When the simulation itself fails: a stage reads more than its writer wrote.
    """
    compile_project(build.path / PROJECT, progress)
    return simulate(build.path / PROJECT, build.design, build.net, images, progress).maps


def run_bounded(build: Build, images: np.ndarray, progress: Progress | None = None) -> dict[str, np.ndarray]:
    """As `run_csim`, with all stages side by side and every stream as deep as the hardware's FIFO.

    Raises
    ------
    CheckFailed
        When FIFOs are too shallow: who waits for which stream, when all stages wait.
    """
    compile_project(build.path / PROJECT, progress, executable=BOUNDED)
    return simulate(build.path / PROJECT, build.design, build.net, images, progress, executable=BOUNDED).maps


def compile_project(
    project: Path, progress: Progress | None = None, jobs: int | None = None, executable: Path = EXECUTABLE
) -> None:
    """Compile a test bench with make, `jobs` files at a time (default: one a core); `progress` is told each file."""
    for tool, what in TOOLS.items():
        if shutil.which(tool) is None:
            raise DeepDiveError(f"C simulation needs {what}, and '{tool}' is not installed: apt install {tool}.")
    if not (project / "Makefile").is_file():
        raise DeepDiveError(f"'{project}' holds no C++ project; compile the network with the HLS backend.")
    command = ["make", "--no-print-directory", "-j", str(jobs or cores()), str(executable)]
    said: list[str] = []

    def hear(line: str) -> None:
        said.append(line)
        if progress and line.startswith(("compile ", "link ")):
            progress(line)

    if run(command, project, hear):
        raise DeepDiveError(f"'{project}' does not compile: {first_error(said)}; run 'make' there to see it all.")


def simulate(
    project: Path,
    design: Design,
    net: QNet,
    images: np.ndarray,
    progress: Progress | None = None,
    executable: Path = EXECUTABLE,
) -> CSimulation:
    """Run the compiled test bench on input codes, a process a core; `progress` is told each unit when it is done."""
    check_images(net.input, images)
    if not len(images):
        raise DeepDiveError("C simulation got no images; name at least one.")
    # At least two frames a process, where there are two: a frame must see the end of the one before.
    parts = np.array_split(images, max(1, min(cores(), len(images) // 2)))
    lock = Lock()

    def tell(unit: str) -> None:
        with lock:
            if progress:
                progress(unit)

    with ThreadPoolExecutor(len(parts)) as pool:
        done = list(pool.map(lambda part: simulate_part(project, design, net, part, tell, executable), parts))
    return CSimulation(
        {name: np.concatenate([one.maps[name] for one in done]) for name in done[0].maps},
        {name: sum(one.unit_seconds[name] for one in done) for name in done[0].unit_seconds},
    )


def simulate_part(
    project: Path, design: Design, net: QNet, images: np.ndarray, progress: Progress, executable: Path
) -> CSimulation:
    """Run one process of the test bench."""
    with tempfile.TemporaryDirectory(prefix="deepdive-csim-") as name:
        folder = Path(name)
        write_input(images, design, folder)
        command = [f"./{executable}", "--frames", str(len(images)), "--batch", str(FRAMES_A_CALL)]
        command += ["--input", str(folder / INPUT_FILE), "--output", str(folder)]
        seconds = dict.fromkeys((unit.name for unit in design.units), 0.0)
        said: list[str] = []

        def hear(line: str) -> None:
            if found := UNIT_LINE.fullmatch(line):
                seconds[found[1]] += float(found[2])
                progress(found[1])
            else:
                said.append(line)

        if code := run(command, project, hear):
            raise CheckFailed(f"C simulation of '{project}' ended with {code}: {' '.join(said) or 'no message'}.")
        return CSimulation(read_maps(design, net, len(images), folder), seconds)


def write_input(images: np.ndarray, design: Design, folder: Path) -> None:
    """Write the test bench's input; channels that the stream has and the network has not are zeros."""
    spare = design.units[0].input.pixel_channels(images.shape[2]) - images.shape[3]
    np.pad(images, ((0, 0), (0, 0), (0, 0), (0, spare))).tofile(folder / INPUT_FILE)


def read_maps(design: Design, net: QNet, frames: int, folder: Path) -> dict[str, np.ndarray]:
    """Read what the test bench wrote: codes (frames, height, width, channels) by name of the feature map."""
    maps = {}
    for unit in design.units:
        feature_map = net.maps[unit.output_map]
        codes = np.fromfile(folder / f"{unit.name}.bin", dtype=feature_map.dtype)
        shape = (frames, *unit.output.shape)
        if codes.size != math.prod(shape):
            raise CheckFailed(f"Unit '{unit.name}' wrote {codes.size} codes in C simulation; want {math.prod(shape)}.")
        maps[unit.output_map] = codes.reshape(shape)[..., : feature_map.shape[2]]
    return maps


def run(command: list[str], folder: Path, hear: Callable[[str], None]) -> int:
    """Run a command in `folder`; `hear` gets what it prints, line by line, while it runs. Returns its exit code."""
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            hear(line.rstrip("\n"))
    return process.returncode


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def first_error(lines: list[str]) -> str:
    """The line that says why a compilation failed."""
    return next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "no message")
