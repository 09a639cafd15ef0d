"""Open synthesis: the emitted Verilog through Yosys, unit by unit and stage by stage, to counts of FPGA primitives.

Yosys packs no pipeline or accumulator registers into DSP slices and no adders behind multipliers, so its LUT and FF
counts are upper bounds of what a vendor's tool finds; DSP and block RAM counts are not affected.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from deepdive.backends.verilog import DSP_FILE, FILE_LIST
from deepdive.compiler.design import Design
from deepdive.errors import DeepDiveError
from deepdive.files import write_text
from deepdive.hardware.resources import Resources
from deepdive.hardware.rtl.memories import MEMORY_MODULES
from deepdive.hardware.units import Unit
from deepdive.simulation.bench import part
from deepdive.simulation.logic_depth import logic_depth
from deepdive.simulation.netlist import Module, primitives, resources
from deepdive.simulation.yosys_flow import ROM, SCRIPT, Family, map_to_primitives

LABEL = "synthesised"
KEPT = "synthesis"
"""Folder of a project that keeps what was counted, by a hash of what it was counted from."""
ANY_UNIT = "UNIT"
INSTANCE = re.compile(r"^\s*(deepdive_(?:mac|ram|rom)\w*)\s+(?:#\(|\\?[\w$.]+\s*\()", re.MULTILINE)
IMAGE = re.compile(r'\.FILE\("([^"]+)"\),\s*\.STYLE\("(\w+)"\)')

Progress = Callable[[str], None]


class UnitSynthesis(BaseModel):
    """What synthesis found in a unit.

    Parameters
    ----------
    resources
        Of the unit and all that it instantiates.
    parts
        Of each stage by its name, and of each FIFO by the name of its stream.
    logic_depth
        LUTs one after the other on the longest path between two registers; see `simulation.logic_depth`.
    longest_path
        The registers at its ends.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    resources: Resources
    parts: dict[str, Resources]
    logic_depth: int
    longest_path: str


def synthesise(
    project: Path,
    design: Design,
    *,
    family: Family = "xcup",
    units: tuple[str, ...] = (),
    jobs: int | None = None,
    progress: Progress | None = None,
) -> dict[str, UnitSynthesis]:
    """What synthesis finds, by name of the unit; a unit that was counted before is not counted again.

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
    known = {unit.name: unit for unit in design.units}
    for name in units:
        if name not in known:
            raise DeepDiveError(f"The design has no unit '{name}'; it has {', '.join(known)}.")
    wanted = list(units) or list(known)

    def one(name: str) -> UnitSynthesis:
        found = synthesise_unit(project.resolve(), known[name], family)
        if progress:
            progress(name)
        return found

    with ThreadPoolExecutor(jobs or len(os.sched_getaffinity(0))) as pool:
        return dict(zip(wanted, pool.map(one, wanted), strict=True))


def kept_synthesis(project: Path, design: Design, family: Family) -> dict[str, UnitSynthesis]:
    """What was counted before of the project as it is now, by name of the unit; those never synthesised are missing."""
    found = {}
    for unit in design.units if (project / FILE_LIST).is_file() else ():
        known = read_kept(kept_path(project, sources_of(project, unit.name), unit.name, family), unit.name)
        if known:
            found[unit.name] = known
    return found


def kept_path(project: Path, sources: Mapping[str, str], unit: str, family: Family) -> Path:
    """Where the counts of these sources are kept."""
    return project / KEPT / f"{content_hash(sources, unit, family)}.json"


def read_kept(path: Path, unit: str) -> UnitSynthesis | None:
    """Counts that were kept, or None."""
    try:
        return UnitSynthesis.model_validate_json(path.read_text(encoding="utf-8").replace(ANY_UNIT, unit))
    except (OSError, ValidationError):
        return None


def family_of(part: str) -> Family:
    """The family by which Yosys knows a device."""
    return "xc7" if part.startswith("xc7") else "xcup"


def synthesise_unit(project: Path, unit: Unit, family: Family) -> UnitSynthesis:
    """What synthesis finds in one unit, out of context, its hierarchy kept."""
    sources = sources_of(project, unit.name)
    kept = kept_path(project, sources, unit.name, family)
    known = read_kept(kept, unit.name)
    if known:
        return known
    with tempfile.TemporaryDirectory(prefix="deepdive-synthesis-") as name:
        folder = Path(name)
        for file, text in sources.items():
            (folder / file).write_text(text, encoding="utf-8")
        modules = map_to_primitives(folder, [file for file in sources if file.endswith(".v")], unit.name, family)
    found = measure(unit, modules)
    kept.parent.mkdir(exist_ok=True)
    write_text(kept, nameless(found.model_dump_json(indent=2), unit.name))
    return found


def measure(unit: Unit, modules: Mapping[str, Module]) -> UnitSynthesis:
    """The counts of a unit's netlist, whole and by stage and FIFO, and its longest path."""

    def of(name: str) -> Resources:
        return resources(primitives(name, modules))

    path = logic_depth(unit.name, modules)
    return UnitSynthesis(
        resources=of(unit.name),
        parts={
            **{stage.name: of(f"{unit.name}__{stage.name}") for stage in unit.stages},
            **{stream.name: of(f"{unit.name}__{stream.name}_fifo") for stream in unit.streams},
        },
        logic_depth=path.luts,
        longest_path=f"{path.start} to {path.end}",
    )


def sources_of(project: Path, unit: str) -> dict[str, str]:
    """What synthesis of a unit reads, by name of the file: its Verilog, the modules in it, the images of its ROMs.

    Images of ROMs in block RAM are not read: see `synthesis_rom.v`.
    """
    verilog = (project / f"{unit}.v").read_text(encoding="utf-8")
    columns = sorted({f"{module}.v" for module in INSTANCE.findall(verilog)} - set(MEMORY_MODULES))
    sources = {name: (project / name).read_text(encoding="utf-8") for name in (*MEMORY_MODULES, *columns)}
    sources |= {ROM: part("synthesis_rom.v"), f"{unit}.v": verilog}
    if (project / DSP_FILE).is_file():
        sources[DSP_FILE] = (project / DSP_FILE).read_text(encoding="utf-8")
    images = sorted(name for name, style in IMAGE.findall(verilog) if style != "block")
    return sources | {name: (project / name).read_text(encoding="utf-8") for name in images}


def content_hash(sources: Mapping[str, str], unit: str, family: Family) -> str:
    """Hash of all that the counts depend on; the unit's own name is not among it."""
    texts = [SCRIPT, family, *(f"{name}\n{text}" for name, text in sources.items())]
    return hashlib.sha256(nameless("\0".join(texts), unit).encode()).hexdigest()[:32]


def nameless(text: str, unit: str) -> str:
    """`text` without the unit's name, with which the names of its parts begin."""
    return re.sub(rf"\b{unit}(?![a-z0-9])", ANY_UNIT, text)
