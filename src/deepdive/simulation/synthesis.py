"""Open synthesis: the emitted Verilog through Yosys, unit by unit, to counts of FPGA primitives.

Yosys packs no pipeline or accumulator registers into DSP slices and no adders behind multipliers, so its LUT and FF
counts are upper bounds of what a vendor's tool finds; DSP and block RAM counts are not affected.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from deepdive.backends.verilog import FILE_LIST
from deepdive.backends.verilog.emit import yosys
from deepdive.compiler.design import Design
from deepdive.errors import DeepDiveError
from deepdive.hardware.resources import Resources
from deepdive.hardware.rtl.memories import MEMORY_MODULES
from deepdive.simulation.bench import part

Family = Literal["xcup", "xc7"]
LABEL = "synthesised"

# Yosys 0.70 stops in ABC9 on UltraScale+; everything up to there, and ABC, work. The costs are those of synth_xilinx.
SCRIPT = """read_verilog -defer {sources}
synth_xilinx -family {family} -top {top} -noiopad -run begin:map_luts
abc -luts 2:2,3,6:5,10,20
opt_clean
tee -q -o {report} stat -json
"""

LUTS = {
    "$lut": 1,
    "INV": 0,
    "RAM32X1S": 1,
    "RAM64X1S": 1,
    "RAM32X1D": 2,
    "RAM64X1D": 2,
    "RAM128X1D": 4,
    "RAM256X1D": 8,
    "RAM32M": 4,
    "RAM64M": 4,
    "RAM32M16": 8,
    "RAM64M8": 8,
    "SRL16E": 1,
    "SRLC32E": 1,
}
"""LUTs that a cell occupies; UG974 and UG953, the libraries guides."""
BLOCK_RAMS = {"RAMB36E2": 1.0, "RAMB36E1": 1.0, "RAMB18E2": 0.5, "RAMB18E1": 0.5}
INSTANCE = re.compile(r"^\s*(deepdive_(?:mac|ram|rom)\w*)\s+(?:#\(|\\?[\w$.]+\s*\()", re.MULTILINE)

Progress = Callable[[str], None]


def synthesise(
    project: Path,
    design: Design,
    *,
    family: Family = "xcup",
    units: tuple[str, ...] = (),
    jobs: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Resources]:
    """Counts by name of the unit.

    Parameters
    ----------
    project
        The Verilog project of the design.
    family
        ``xcup`` for UltraScale+, ``xc7`` for 7 series.
    units
        Only these; all of them by default.
    jobs
        Units at a time, one a core by default.

    Raises
    ------
    DeepDiveError
        When there is no project, a unit has no such name, or Yosys fails.
    """
    if not (project / FILE_LIST).is_file():
        raise DeepDiveError(f"'{project}' holds no Verilog project; compile the network with the RTL backend.")
    known = [unit.name for unit in design.units]
    for name in units:
        if name not in known:
            raise DeepDiveError(f"The design has no unit '{name}'; it has {', '.join(known)}.")
    wanted = list(units) or known

    def one(name: str) -> Resources:
        found = synthesise_unit(project.resolve(), name, family)
        if progress:
            progress(name)
        return found

    with ThreadPoolExecutor(jobs or len(os.sched_getaffinity(0))) as pool:
        return dict(zip(wanted, pool.map(one, wanted), strict=True))


def synthesise_unit(project: Path, unit: str, family: Family) -> Resources:
    """Counts of one unit and all that it instantiates."""
    with tempfile.TemporaryDirectory(prefix="deepdive-synthesis-") as name:
        folder = Path(name)
        for path in [*project.glob("*.mem"), *project.glob("*.v")]:
            (folder / path.name).write_bytes(path.read_bytes())
        (folder / "deepdive_rom.v").write_text(part("synthesis_rom.v"), encoding="utf-8")
        sources = [*MEMORY_MODULES, *sorted(columns_of(folder / f"{unit}.v")), f"{unit}.v"]
        yosys(
            SCRIPT.format(sources=" ".join(sources), family=family, top=unit, report="report.json"),
            folder,
            timeout=3600,
        )
        report = (folder / "report.json").read_text(encoding="utf-8")
    modules = json.loads(report[report.index("{") :])["modules"]
    return count(cells_of(f"\\{unit}", {name: found["num_cells_by_type"] for name, found in modules.items()}))


def columns_of(verilog: Path) -> set[str]:
    """Files of the multiplier columns that a unit instantiates."""
    modules = set(INSTANCE.findall(verilog.read_text(encoding="utf-8")))
    return {f"{module}.v" for module in modules} - set(MEMORY_MODULES)


def cells_of(module: str, modules: Mapping[str, Mapping[str, int]]) -> Counter[str]:
    """Primitives by type in a module and in all that it instantiates.

    Yosys names a plain module ``\\name``, in cells ``name``; its own totals leave out primitives that its library
    describes as modules, flip-flops among them.
    """
    total: Counter[str] = Counter()
    for cell, number in modules[module].items():
        inner = next((name for name in (cell, f"\\{cell}") if name in modules), None)
        if inner is None:
            total[cell] += number
        else:
            for name, inside in cells_of(inner, modules).items():
                total[name] += number * inside
    return total


def count(cells: Mapping[str, int]) -> Resources:
    """FPGA resources of Yosys' cells."""
    return Resources(
        dsp=sum(number for cell, number in cells.items() if cell.startswith("DSP48")),
        lut=sum(LUTS.get(cell, 0) * number for cell, number in cells.items()),
        ff=sum(number for cell, number in cells.items() if cell.startswith("FD")),
        bram36=sum(BLOCK_RAMS.get(cell, 0.0) * number for cell, number in cells.items()),
        uram=cells.get("URAM288", 0),
    )
