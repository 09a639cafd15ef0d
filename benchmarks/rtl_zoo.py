"""Simulate a whole network in RTL, random weights and codes, three frames back to back, and compare every unit.

With ``--synthesise`` count its primitives instead, unit by unit, beside the model's. Run from the repository:
``PYTHONPATH=src:tests python benchmarks/rtl_zoo.py mobilenet_v2_075_160 --bits 8``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

from deepdive.backends import verilog
from deepdive.compiler.compile import compile as compile_network
from deepdive.compiler.design import Design
from deepdive.hardware.resources import Resources
from deepdive.qnet import QNet
from deepdive.simulation.compare import compare
from deepdive.simulation.rtl import Run, compile_simulator, simulate
from deepdive.simulation.synthesis import synthesise
from networks import random_codes
from zoo_networks import efficientnet_lite0, mobilenet_v2

NETWORKS = {
    "mobilenet_v2_075_160": partial(mobilenet_v2, 160, 0.75),
    "mobilenet_v2_100_224": partial(mobilenet_v2, 224, 1.0),
    "efficientnet_lite0_224": efficientnet_lite0,
}


def print_synthesis(design: Design, net: QNet) -> None:
    """A row a unit, *synthesised* / *modelled*, one unit at a time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        verilog.write_project(design, net, folder)
        sums = [Resources(), Resources()]
        print("| unit | DSP | LUT | LUT off | BRAM36 | FF | LUT levels |")
        for unit in design.units:
            start = time.perf_counter()
            report = synthesise(folder, design, units=(unit.name,), jobs=1)[unit.name]
            sums = [sums[0] + report.resources, sums[1] + unit.resources]
            took = f"({time.perf_counter() - start:.0f} s)"
            print(row(unit.name, report.resources, unit.resources), report.logic_depth, "|", took, flush=True)
        print(row("all", *sums), "|")


def row(name: str, used: Resources, model: Resources) -> str:
    """The cells of a row."""
    pairs = [f"{getattr(used, kind):,g} / {getattr(model, kind):,g}" for kind in ("dsp", "lut", "bram36", "ff")]
    off = f"{model.lut / used.lut - 1:+.1%}"
    return f"| {name} | {pairs[0]} | {pairs[1]} | {off} | {pairs[2]} | {pairs[3]} |"


def main() -> None:
    """One line of figures: *simulated* beside *modelled*; exit code 1 when a value differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--bits", type=int, default=8, help="of the weights")
    parser.add_argument("--board", default="zcu102")
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--synthesise", action="store_true", help="count primitives instead of simulating")
    given = parser.parse_args()
    net = NETWORKS[given.network](weight_bits=given.bits)
    design = compile_network(net, board=given.board)
    if given.synthesise:
        print_synthesis(design, net)
        return
    images = random_codes(net, given.frames, seed=1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.perf_counter()
        verilog.write_project(design, net, folder)
        written = time.perf_counter()
        program = compile_simulator(folder, design)
        built = time.perf_counter()
        run = simulate(program, design, net, images, Run(given.frames))
        done = time.perf_counter()
    found = compare(run.maps, net.run(images, every=True))
    print(
        f"{given.network} W{given.bits}A8 on {given.board}: {found.differing} of {found.values:,} values differ; "
        f"cycles a frame {run.frame_interval_cycles:,} (model {design.frame_interval_cycles:,}), "
        f"latency {run.latency_cycles:,} (model {design.latency_cycles:,}); seconds: write {written - start:.0f}, "
        f"build {built - written:.0f}, run {(done - built) / given.frames:.1f} a frame"
    )
    if found.first_difference:
        raise SystemExit(found.first_difference)


if __name__ == "__main__":
    main()
