"""Simulate whole networks in RTL, random weights and codes, and compare every unit; rows as docs/rtl.md has them.

With ``--synthesise`` count their primitives instead, unit by unit, beside the model's. With ``--paper`` the network
that the paper's authors published runs on their picture, and its maps are held against theirs. Run from the repository:
``PYTHONPATH=src:tests python benchmarks/rtl_zoo.py mobilenet_v2_075@160 mobilenet_v2_32 --bits 4``.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from named_networks import shapes_of, title

from deepdive import import_
from deepdive.backends import verilog
from deepdive.compiler.compile import compile as compile_network
from deepdive.compiler.design import Design
from deepdive.hardware.resources import Resources
from deepdive.qnet import QNet
from deepdive.simulation.bench import Run
from deepdive.simulation.compare import compare
from deepdive.simulation.rtl import batch, compile_simulator, simulate
from deepdive.simulation.synthesis import family_of, synthesise
from networks import random_codes

KINDS = ("dsp", "lut", "bram36", "ff")
SIMULATION = (
    "| network | frames | values compared | differing | cycles a frame | model | off by | latency, first frame | model "
    "| build | a frame |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)
SYNTHESIS = (
    "| unit | DSP | LUT | model's LUT off by | BRAM36 | FF | levels |\n| --- | --- | --- | --- | --- | --- | --- |"
)
WHOLE = (
    "| design | units | DSP | unit by unit | LUT | unit by unit | BRAM36 | unit by unit |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |"
)


@dataclass(frozen=True)
class Case:
    """A network and what it computes; `theirs` are maps of the first image that others computed."""

    label: str
    design: Design
    net: QNet
    images: np.ndarray
    theirs: Mapping[str, np.ndarray]


def simulation_row(case: Case, jobs: int | None) -> str:
    """*simulated* beside *modelled*; ends the program when a value differs from the reference's, or from theirs."""
    label, design, net, images, frames = case.label, case.design, case.net, case.images, len(case.images)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        verilog.write_project(design, net, folder)
        start = time.perf_counter()
        program = compile_simulator(folder, design, jobs=jobs)
        built = time.perf_counter()
        run = simulate(program, design, net, images, Run(frames))
        done = time.perf_counter()
    wanted = net.run(images, every=True)
    assert isinstance(wanted, dict)
    found = compare(run.maps, wanted)
    if found.first_difference:
        raise SystemExit(f"{label}: {found.differing} of {found.values:,} values differ; {found.first_difference}")
    for name in case.theirs.keys() & run.maps.keys():
        if not np.array_equal(run.maps[name][0], case.theirs[name]):
            raise SystemExit(f"{label}: map '{name}' is not the authors'")
    cycles, model = run.frame_interval_cycles, design.frame_interval_cycles
    cells = (
        label,
        f"{frames}",
        f"{found.values:,}",
        f"{found.differing}",
        f"{cycles:,}",
        f"{model:,}",
        f"{cycles / model - 1:+.2%}",
        f"{run.latency_cycles:,}",
        f"{design.latency_cycles:,}",
        f"{built - start:.0f} s",
        f"{(done - built) / frames:.1f} s",
    )
    return f"| {' | '.join(cells)} |"


def enough(design: Design) -> int:
    """Frames that show the pace of a full pipeline: of batches three; of single ones as many as it holds and some."""
    held = math.ceil(design.latency_cycles / design.frame_interval_cycles)
    return max(held + 2, 3 * batch(design))


def paper_case(folder: Path, board: str) -> Case:
    """The authors' picture twice, then noise."""
    net = import_(folder)
    with np.load(folder / "golden" / "cat.npz", allow_pickle=False) as cat:
        picture, theirs = cat["input"], {name: cat[name] for name in cat.files if name != "input"}
    design = compile_network(net, board=board)
    images = np.concatenate([np.stack([picture] * 2), random_codes(net, enough(design) - 2, seed=1)])
    shared = len(theirs.keys() & {unit.output_map for unit in design.units})
    return Case(f"the paper's network, {shared} maps equal to the authors', {board}", design, net, images, theirs)


def print_synthesis(design: Design, net: QNet, only: list[str]) -> str:
    """A row a unit, *synthesised* / *modelled*, one unit at a time; returns the cells of all of them together."""
    family = family_of(design.board.part)
    found: list[tuple[Resources, Resources]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        verilog.write_project(design, net, folder)
        for unit in design.units:
            if only and unit.name not in only:
                continue
            report = synthesise(folder, design, family=family, units=(unit.name,), jobs=1)[unit.name]
            found.append((report.resources, unit.rtl_resources))
            print(synthesis_row(unit.name, *found[-1]), report.logic_depth, "|", flush=True)
    used, model = (Resources.total(one[side] for one in found) for side in (0, 1))
    print(synthesis_row("all", used, model), "|", flush=True)
    cells = [f"{len(found)}"]
    for kind in KINDS[:3]:
        cells += [f"{both(used, model, kind)}, {off(used, model, kind):+.1%}", spread(found, kind)]
    return " | ".join(cells)


def off(used: Resources, model: Resources, kind: str) -> float:
    """By what share of what synthesis found the model is wrong; nan where it found none."""
    return float(getattr(model, kind) / (getattr(used, kind) or math.nan)) - 1


def spread(units: list[tuple[Resources, Resources]], kind: str) -> str:
    """How far the model of single units is off, of those that have some."""
    offs = [off(*unit, kind) for unit in units if getattr(unit[0], kind)]
    return f"{min(offs):+.0%} to {max(offs):+.0%}" if offs else "-"


def both(used: Resources, model: Resources, kind: str) -> str:
    return f"{getattr(used, kind):,g} / {getattr(model, kind):,g}"


def synthesis_row(name: str, used: Resources, model: Resources) -> str:
    """The cells of a row, without the last."""
    dsp, lut, bram, ff = (both(used, model, kind) for kind in KINDS)
    return f"| {name} | {dsp} | {lut} | {off(used, model, 'lut'):+.0%} | {bram} | {ff} |"


def main() -> None:
    """A row a network, or a table of its units."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", help="NAME[@RESOLUTION], as in named_networks.py")
    parser.add_argument("--paper", type=Path, help="folder of the paper's published network")
    parser.add_argument("--bits", type=int, default=8, help="of the weights")
    parser.add_argument("--board", default="zcu102")
    parser.add_argument("--frames", type=int, help="default: as many as show the pace of a full pipeline")
    parser.add_argument("--jobs", type=int, help="compilers at a time; default: one a core")
    parser.add_argument("--synthesise", action="store_true", help="count primitives instead of simulating")
    parser.add_argument("--dsp-instances", action="store_true", help="multipliers are DSPs that sum in cascades")
    parser.add_argument("--units", nargs="*", default=[], help="synthesise only these")
    given = parser.parse_args()
    print(SYNTHESIS if given.synthesise else SIMULATION, flush=True)
    whole = []
    for network in given.networks:
        net = shapes_of(network, given.bits)
        design = compile_network(net, board=given.board, dsp_instances=given.dsp_instances)
        label = f"{title(network)}, W{given.bits}A8, {given.board}{', DSP instances' * given.dsp_instances}"
        if given.synthesise:
            print(f"| {label} |", flush=True)
            whole.append(f"| {label} | {print_synthesis(design, net, given.units)} |")
        else:
            images = random_codes(net, given.frames or enough(design), seed=1)
            print(simulation_row(Case(label, design, net, images, {}), given.jobs), flush=True)
    if whole:
        print("", WHOLE, *whole, sep="\n")
    if given.paper:
        print(simulation_row(paper_case(given.paper, given.board), given.jobs), flush=True)


if __name__ == "__main__":
    main()
