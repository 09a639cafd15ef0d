"""Yosys' machine code: whole in the cache before the first run, and not written again by any run."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepdive.backends.verilog.yosys import compiled_yosys, yosys
from deepdive.errors import DeepDiveError


def test_no_run_writes_the_machine_code_again(tmp_path: Path) -> None:
    def files() -> dict[Path, tuple[int, int]]:
        found = (path for path in compiled_yosys().rglob("*") if path.is_file())
        return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}

    before = files()
    assert before
    yosys("log ready", tmp_path)
    assert files() == before


def test_a_script_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(DeepDiveError, match="Yosys failed: ERROR: No such command: nonsense"):
        yosys("nonsense", tmp_path)
