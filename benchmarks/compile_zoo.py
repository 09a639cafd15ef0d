"""Compile the zoo's networks (random weights: shapes are what counts) and print a table of what is reached.

Run from the repository: ``PYTHONPATH=src:tests python benchmarks/compile_zoo.py [--board zcu102] [--bits 4 8]
[--dsp-instances]``.
`benchmarks/docs_tables.py` runs it for the tables of the docs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import get_args

from deepdive.compiler.compile import SharingMode
from deepdive.compiler.compile import compile as compile_network
from deepdive.compiler.design import Design
from deepdive.compiler.pipeline import simulate_pipeline
from deepdive.errors import CheckFailed
from zoo_networks import efficientnet_b0, headline_networks, mobilenet_v3

EXCITED = {"MobileNetV3-224": mobilenet_v3, "EfficientNet-B0-224": efficientnet_b0}
"""Networks with squeeze-excite, whose search takes longer: only when asked for."""

COLUMNS = (
    "board", "network", "weights", "cycles", "simulated", "FPS", "latency ms", "MAC use", "DSP", "LUT", "BRAM36",
    "URAM", "W", "W of logic and memory", "FPS/W of logic and memory", "search s",
)  # fmt: skip
"""Simulated cycles and latency come from the discrete-event simulation, seconds are of the process."""


def main() -> None:
    """One row a board, number of weight bits and network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--board", nargs="+", default=["zcu102"])
    parser.add_argument("--bits", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--excited", nargs="+", choices=EXCITED, default=[], help="these instead of the others")
    parser.add_argument("--sharing", choices=get_args(SharingMode), default="auto")
    parser.add_argument("--dsp-instances", action="store_true", help="multipliers are DSPs that sum in cascades")
    given = parser.parse_args()
    print_row(COLUMNS)
    print_row(["---"] * len(COLUMNS))
    for board in given.board:
        for bits in given.bits:
            excited = {name: EXCITED[name](weight_bits=bits) for name in given.excited}
            for name, net in (excited or headline_networks(bits)).items():
                start = time.process_time()
                try:
                    design = compile_network(net, board=board, sharing=given.sharing, dsp_instances=given.dsp_instances)
                except CheckFailed as error:
                    print(f"{name} on {board}, {bits} bits: {error}", file=sys.stderr, flush=True)
                    continue
                seconds = time.process_time() - start
                print_row([board, name, f"{bits}", *figures(design), f"{seconds:.1f}"])


def figures(design: Design) -> list[str]:
    """Cells of `COLUMNS` from cycles to the last but one."""
    run = simulate_pipeline(design.units)
    used, power = design.resources, design.power
    logic = power.boundaries[1]
    return [
        f"{design.frame_interval_cycles:,}",
        f"{run.interval_cycles:,}",
        f"{design.fps:,.0f}",
        f"{design.latency_cycles / design.clock_mhz / 1e3:.2f}",
        f"{design.mac_utilization:.0%}",
        f"{used.dsp:,}",
        f"{used.lut:,}",
        f"{used.bram36:g}",
        f"{used.uram}",
        f"{power.total_w:.1f} ({power.low:.1f}-{power.high:.1f})",
        f"{logic.value:.1f} ({logic.low:.1f}-{logic.high:.1f})",
        f"{design.fps / logic.value:,.0f} ({design.fps / logic.high:,.0f}-{design.fps / logic.low:,.0f})",
    ]


def print_row(cells: Sequence[str]) -> None:
    """A row of a table as the docs have them."""
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
