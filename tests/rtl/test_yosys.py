"""Yosys' machine code: whole in the cache before the first run, and not written again by any run."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deepdive.backends.verilog import yosys as yosys_module
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


def test_a_second_first_run_waits_for_the_machine_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at once in an empty cache compile it once, and both get it whole."""
    made = []

    def compile_it(arguments: object, folder: Path, compiled: Path, timeout: float) -> str:
        made.append(compiled)
        compiled.mkdir()
        time.sleep(0.2)
        (compiled / "code").write_text("whole")
        return ""

    monkeypatch.setenv("DEEPDIVE_CACHE", str(tmp_path / "new"))
    monkeypatch.setattr(yosys_module, "run", compile_it)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: (compiled_yosys.__wrapped__() / "code").read_text(), range(2))
    assert (first, second, len(made)) == ("whole", "whole", 1)


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DEEPDIVE_CACHE", str(tmp_path / "file"))
    with pytest.raises(DeepDiveError, match=r"Cannot write .*yosys.*; free some space or name another place"):
        compiled_yosys.__wrapped__()
