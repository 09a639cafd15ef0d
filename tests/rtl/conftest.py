"""Simulators that several test processes share, and nothing at all without the extra `rtl`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

collect_ignore_glob = [] if find_spec("amaranth") else ["test_*.py"]

MakeOnce = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def make_once(tmp_path_factory: pytest.TempPathFactory) -> MakeOnce:
    """``make_once(name, fill)``: a folder that `fill` filled, in one test process for all of them."""

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        base = tmp_path_factory.getbasetemp()
        folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
        done, failed = folder / "done", folder / "failed"
        try:
            folder.mkdir()
        except FileExistsError:
            while not (done.exists() or failed.exists()):
                time.sleep(0.2)
            if failed.exists():
                pytest.fail(f"another test process could not make {name}")
            return folder
        try:
            fill(folder)
        except BaseException:
            failed.touch()
            raise
        done.touch()
        return folder

    return make
