"""Many small projects in one executable: hundreds of drawn networks cost one run of the C++ compiler, not hundreds."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepdive.backends.vitis.project import copy_library, render, write_unit
from deepdive.backends.vitis.unit_code import unit_code
from deepdive.compiler.design import Design
from deepdive.qnet import QNet
from deepdive.simulation.compare import compare
from deepdive.simulation.csim import read_maps, write_input

OURS = ("-I.", "-Iinclude", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")
"""The stand-in headers, and an end to any undefined behaviour: a trap, since words about it take a quarter of the time
to compile."""

FLAGS = ("-std=c++17", "-O0", "-Wall", "-Wextra", "-Werror")
QUIET = ("-Wno-unknown-pragmas", "-Wno-unused-label")


@dataclass(frozen=True, eq=False)
class Case:
    """A network, its design (no two cases share a unit's name) and input codes (frames, height, width, channels)."""

    net: QNet
    design: Design
    images: np.ndarray
    frames_a_call: int


def check_cases(cases: Sequence[Case], folder: Path, headers: Sequence[str] = OURS, compiler: str = "g++") -> None:
    """Compile and run all cases; every unit's output must be equal to the reference's."""
    copy_library(folder)
    (folder / "units").mkdir()
    library = sorted(f"deepdive/{path.name}" for path in (folder / "deepdive").iterdir())
    lines = [f'#include "{header}"' for header in (*library, "testbench/bench.h")]
    calls = []
    for index, case in enumerate(cases):
        units = [unit_code(unit, case.net) for unit in case.design.units]
        for unit in units:
            write_unit(unit, folder)
        render("testbench.cpp", folder / f"bench{index}.cpp", units=units)
        # Names inside a unit's file repeat from case to case; a namespace keeps them apart.
        lines += [f"namespace case{index} {{"]
        lines += [f'#include "units/{unit.name}.cpp"' for unit in units]
        lines += [f'#include "bench{index}.cpp"', "}"]
        results = folder / f"case{index}"
        results.mkdir()
        write_input(case.images, case.design, results)
        options = {"frames": len(case.images), "batch": case.frames_a_call, "input": f"case{index}/input.bin"}
        words = ["bench", *(f"{w}" for k, v in {**options, "output": f"case{index}"}.items() for w in (f"--{k}", v))]
        texts = ", ".join(f'const_cast<char*>("{word}")' for word in words)
        calls.append(f"    {{ char* words[] = {{{texts}}}; if (case{index}::main({len(words)}, words)) return 1; }}")
    lines += ["int main() {", *calls, "    return 0;", "}", ""]
    (folder / "all.cpp").write_text("\n".join(lines))
    command = [compiler, *FLAGS, *QUIET, *headers, "-o", "all", "all.cpp"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ran = subprocess.run(["./all"], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr or "undefined behaviour; without the trap in OURS it says where"
    for index, case in enumerate(cases):
        found = compare(read_maps(case.design, case.net, len(case.images), folder / f"case{index}"), reference(case))
        assert found.differing == 0, (index, found.first_difference, case.design.units)
        assert found.maps == len(case.design.units)


def reference(case: Case) -> dict[str, np.ndarray]:
    """Every feature map."""
    maps = case.net.run(case.images, every=True)
    assert isinstance(maps, dict)
    return maps
