"""The vendor's tools as a mock: their commands as far as emitted scripts use them, run by tclsh."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MOCK = Path(__file__).resolve().parent / "amd_tools.tcl"

needs_tclsh = pytest.mark.skipif(shutil.which("tclsh") is None, reason="tclsh is not installed")
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def tcl(script: Path, folder: Path, **environment: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run a script in `folder` under the mock; returns what it printed, and the mock's log."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "mock.log"
    log.unlink(missing_ok=True)
    done = subprocess.run(
        ["tclsh", str(MOCK), str(script)],
        cwd=folder,
        env={**os.environ, "MOCK_LOG": str(log), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done, log.read_text().splitlines() if log.exists() else []


def make(folder: Path, target: str) -> subprocess.CompletedProcess[str]:
    """Make a target with the mock for the tools."""
    tools = [f"{tool}=tclsh {MOCK}" for tool in ("HLS", "VIVADO")]
    environment = {**os.environ, "MOCK_LOG": str(folder / "mock.log")}
    command = ["make", *tools, "CXXFLAGS=-O0", target]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
