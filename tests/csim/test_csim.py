"""C simulation of whole projects: equal to the reference, and honest about everything that goes wrong."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from deepdive.backends import vitis
from deepdive.backends.build import Build, write_build
from deepdive.compiler.compile import compile
from deepdive.errors import CheckFailed, DeepDiveError
from deepdive.simulation import csim
from deepdive.simulation.compare import compare
from deepdive.simulation.csim import CSimulation, compile_project, run_csim, simulate
from networks import four_block_network, random_codes


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """A build of the four-block network, compiled without a warning."""
    net = four_block_network(0)
    made = write_build(
        compile(net, board="zcu102"), net, tmp_path_factory.mktemp("builds") / "build", {"hls": vitis.write_project}
    )
    project = made.path / "hls"
    flags = ["CXXFLAGS=-O1 -Werror", "csim/testbench"]
    done = subprocess.run(["make", "-j2", *flags], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return made


def broken(build: Build, folder: Path, file: str, pattern: str, by: str) -> Build:
    """A copy of the build with one text replaced, once."""
    copy = Build(folder / "build", build.design, build.net)
    shutil.copytree(build.path, copy.path)
    path = copy.path / "hls" / file
    text, count = re.subn(pattern, by, path.read_text(), count=1)
    assert count == 1
    path.write_text(text)
    return copy


def differing(build: Build, done: CSimulation, images: np.ndarray) -> tuple[int, str | None]:
    """How many values differ from the reference, and the first of them."""
    wanted = build.net.run(images, every=True)
    assert isinstance(wanted, dict)
    found = compare(done.maps, wanted)
    assert found.maps == len(build.design.units)
    return found.differing, found.first_difference


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_every_unit_equals_the_reference(build: Build, frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven frames: two processes, and three frames in a unit at once."""
    monkeypatch.setattr(csim, "cores", lambda: 2)
    images = random_codes(build.net, frames, seed=frames)
    told: list[str] = []
    done = simulate(build.path / "hls", build.design, build.net, images, told.append)
    assert differing(build, done, images) == (0, None)
    assert set(told) == set(done.unit_seconds) == {unit.name for unit in build.design.units}
    assert done.seconds > 0


def test_frames_in_one_call_do_not_touch_each_other(build: Build) -> None:
    """The middle one of three different frames gives what it gives alone."""
    images = random_codes(build.net, 3, seed=5)
    together = simulate(build.path / "hls", build.design, build.net, images)
    alone = simulate(build.path / "hls", build.design, build.net, images[1:2])
    for name, codes in alone.maps.items():
        assert np.array_equal(codes[0], together.maps[name][1])
    assert not np.array_equal(together.maps["body2.project"][0], together.maps["body2.project"][1])


def test_make_alone_runs_it(build: Build) -> None:
    done = subprocess.run(["make", "csim"], cwd=build.path / "hls", capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("unit ")]
    assert [line.split()[1] for line in lines] == [unit.name for unit in build.design.units]


def test_a_wrong_weight_is_found_and_named(build: Build, tmp_path: Path) -> None:
    """The comparison is no formality: one weight of the second unit, one bit."""
    copy = broken(build, tmp_path, "units/body1_rom.h", r"\{ *(\d+),", lambda m: f"{{{int(m[1]) ^ 64},")
    images = random_codes(build.net, 2, seed=3)
    wanted = build.net.run(images, every=True)
    assert isinstance(wanted, dict)
    found = compare(run_csim(copy, images), wanted)
    assert found.differing > 0
    assert found.first_difference is not None
    assert found.first_difference.startswith("'body1.add' differs first at (0, ")


def test_a_stage_that_reads_too_much_is_named(build: Build, tmp_path: Path) -> None:
    copy = broken(build, tmp_path, "units/tail.cpp", r"int pixels = (\d+);", lambda m: f"int pixels = {int(m[1]) + 1};")
    with pytest.raises(CheckFailed, match=r"ended with 3: stream 'tail_\w+' is read while empty\.$"):
        run_csim(copy, random_codes(build.net, 1))


def test_a_stage_that_reads_too_little_is_named(build: Build, tmp_path: Path) -> None:
    copy = broken(build, tmp_path, "units/tail.cpp", r"int pixels = (\d+);", lambda m: f"int pixels = {int(m[1]) - 1};")
    with pytest.raises(CheckFailed, match=r"ended with 3: stream '\w+' "):
        run_csim(copy, random_codes(build.net, 1))


def test_what_does_not_compile_is_named(build: Build, tmp_path: Path) -> None:
    copy = broken(build, tmp_path, "units/head.cpp", r"namespace \{", "namespace [")
    with pytest.raises(DeepDiveError, match=r"hls' does not compile: units/head\.cpp:\d+.*error.*run 'make' there"):
        compile_project(copy.path / "hls")


@pytest.mark.parametrize(("tool", "what"), [("g++", "a C++17 compiler"), ("make", "GNU make")])
def test_a_missing_tool_is_named(build: Build, monkeypatch: pytest.MonkeyPatch, tool: str, what: str) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name == tool else f"/usr/bin/{name}")
    with pytest.raises(DeepDiveError) as caught:
        compile_project(build.path / "hls")
    assert str(caught.value) == f"C simulation needs {what}, and '{tool}' is not installed: apt install {tool}."


def test_a_missing_project_is_named(build: Build, tmp_path: Path) -> None:
    with pytest.raises(DeepDiveError, match=r"'.*' holds no C\+\+ project; compile the network with the HLS"):
        compile_project(tmp_path)


def test_no_images_are_refused(build: Build) -> None:
    with pytest.raises(DeepDiveError, match="C simulation got no images; name at least one"):
        simulate(build.path / "hls", build.design, build.net, random_codes(build.net, 1)[:0])


def test_images_of_another_shape_are_refused(build: Build) -> None:
    with pytest.raises(DeepDiveError, match="Input codes are"):
        simulate(build.path / "hls", build.design, build.net, random_codes(build.net, 1)[:, 1:])
