"""What it brings that neighbouring pixels share the DSPs of depthwise stages: the zoo's designs without and with it.

Run from the repository: ``PYTHONPATH=src:tests python benchmarks/depthwise_pairs.py [--board zcu102] [--bits 4 8]``.
"""

from __future__ import annotations

import argparse
import time
from contextlib import nullcontext
from unittest.mock import patch

from deepdive.compiler.compile import compile as compile_network
from deepdive.compiler.pipeline import simulate_pipeline
from deepdive.hardware.stages import Depthwise
from zoo_networks import headline_networks

COLUMNS = (
    "network", "weights", "pairs", "cycles", "simulated", "FPS", "DSP", "LUT", "BRAM36",
    "depthwise stages in pairs, DSPs, LUTs", "search s",
)  # fmt: skip
"""Simulated cycles come from the discrete-event simulation, seconds are of the process; all else is modelled."""


def main() -> None:
    """Two rows a network and number of weight bits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--board", default="zcu102")
    parser.add_argument("--bits", type=int, nargs="+", default=[4, 8])
    given = parser.parse_args()
    print("|", " | ".join(COLUMNS), "|")
    print("|", " | ".join(["---"] * len(COLUMNS)), "|")
    for bits in given.bits:
        for name, net in headline_networks(bits).items():
            for pairs in (False, True):
                # No field is wide enough: as if no two codes fitted a DSP.
                with nullcontext() if pairs else patch("deepdive.compiler.options.pixel_field", lambda *_: 0):
                    start = time.process_time()
                    design = compile_network(net, board=given.board)
                    seconds = time.process_time() - start
                stages = [stage for unit in design.units for stage in unit.stages if isinstance(stage, Depthwise)]
                paired = sum(stage.pixel_pair is not None for stage in stages)
                fabric = sum(stage.fabric for stage in stages)
                used = design.resources
                cells = (
                    name,
                    f"{bits}",
                    "yes" if pairs else "no",
                    f"{design.frame_interval_cycles:,}",
                    f"{simulate_pipeline(design.units).interval_cycles:,}",
                    f"{design.fps:,.0f}",
                    f"{used.dsp:,}",
                    f"{used.lut:,}",
                    f"{used.bram36:g}",
                    f"{paired}, {len(stages) - paired - fabric}, {fabric}",
                    f"{seconds:.1f}",
                )
                print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
