"""What depthwise stages would save if two neighbouring output pixels shared a DSP a tap, over the zoo's designs.

A stage of a pixel in F = channels / lanes >= 2 beats and an even number of lanes could take two pixels at once with
half the lanes: half of its DSPs, for the same cycles. Nothing is built; this is how much there would be to gain.

Run from the repository: ``PYTHONPATH=src:tests python benchmarks/depthwise_pairs.py [--board zcu102] [--bits 4 8]``.
"""

from __future__ import annotations

import argparse

from deepdive.compiler.compile import compile as compile_network
from deepdive.hardware.stages import Depthwise
from zoo_networks import headline_networks


def main() -> None:
    """One row a network and number of weight bits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--board", default="zcu102")
    parser.add_argument("--bits", type=int, nargs="+", default=[4, 8])
    given = parser.parse_args()
    print("network | weights | cycles | DSP | of depthwise stages | those in DSPs, in LUTs | pairs would save")
    for bits in given.bits:
        for name, net in headline_networks(bits).items():
            design = compile_network(net, board=given.board, sharing="never")
            stages = [stage for unit in design.units for stage in unit.stages if isinstance(stage, Depthwise)]
            in_dsps = [stage for stage in stages if not stage.fabric]
            able = [stage for stage in in_dsps if stage.input.groups >= 2 and stage.input.lanes % 2 == 0]
            saved = sum(stage.multipliers for stage in able) // 2
            cells = (
                name,
                f"{bits}",
                f"{design.frame_interval_cycles:,}",
                f"{design.resources.dsp:,}",
                f"{sum(stage.multipliers for stage in in_dsps):,}",
                f"{len(in_dsps)}, {len(stages) - len(in_dsps)}",
                f"{saved:,} ({saved / design.resources.dsp:.0%})",
            )
            print(" | ".join(cells), flush=True)


if __name__ == "__main__":
    main()
