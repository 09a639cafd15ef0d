"""The three places that name a dependency, and the files a user expects, agree with each other."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements() -> list[str]:
    """Every requirement of pyproject.toml, the extras' included."""
    return PROJECT["dependencies"] + [one for extra in PROJECT["optional-dependencies"].values() for one in extra]


def pins() -> dict[str, str]:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonical(name): version for name, version in pairs}


def as_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


@pytest.mark.parametrize("requirement", requirements())
def test_every_requirement_is_a_range_is_pinned_inside_it_and_is_explained(requirement: str) -> None:
    match = re.fullmatch(r"([A-Za-z0-9._-]+)>=([0-9.]+)", requirement)
    assert match, f"{requirement!r} is not a lower bound"
    name, lowest = match.groups()
    assert as_numbers(pins()[canonical(name)]) >= as_numbers(lowest)
    assert f"\n| {name} | " in (REPOSITORY / "docs" / "dependencies.md").read_text()


def test_every_explained_library_is_a_requirement() -> None:
    rows = re.findall(r"^\| ([a-z0-9._-]+) \|", (REPOSITORY / "docs" / "dependencies.md").read_text(), flags=re.M)
    explained = {name for name in rows if name not in ("library", "---")}
    assert explained == {canonical(re.split(">=", one)[0]) for one in requirements()}


def test_torchvision_and_timm_are_no_dependency() -> None:
    assert not {"torchvision", "timm"} & pins().keys()


def test_the_package_is_typed() -> None:
    assert (REPOSITORY / "src" / "deepdive" / "py.typed").exists()


def test_git_ignores_no_file_of_the_package() -> None:
    """What git ignores, the wheel leaves out: headers, board files and templates must not match .gitignore."""
    command = ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "src"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no git repository")
    assert [line for line in done.stdout.splitlines() if "__pycache__" not in line] == []
