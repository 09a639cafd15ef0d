"""C simulation of MobileNetV2-1.0-224 with random 4-bit weights, all bodies on two shared units: equal, and how fast.

PYTHONPATH=src:tests python benchmarks/shared_csim.py [resolution [width [frames]]]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from deepdive.backends.vitis import write_project
from deepdive.compiler.partition import partition
from deepdive.compiler.shared import Sharing
from deepdive.hardware.boards import load_board
from deepdive.hardware.stages import PointwiseFolding, SharedFolding
from deepdive.simulation.compare import compare
from deepdive.simulation.csim import compile_project, simulate
from networks import random_codes
from shared_designs import shared_design
from zoo_networks import MOBILENET_V2, inverted_residuals

FOLDING = SharedFolding(
    expand=PointwiseFolding(in_lanes=8, out_parallel=16, lanes=8),
    middle_lanes=8,
    project=PointwiseFolding(in_lanes=16, out_parallel=8, lanes=4),
    memory_lanes=8,
)


def main(resolution: int = 224, width: float = 1.0, frames: int = 2) -> int:
    """The last four bodies keep their maps on chip, the others outside; two frames a batch."""
    net = inverted_residuals(MOBILENET_V2, resolution=resolution, width=width, weight_bits=4)
    bodies = sum(plan.kind == "body" for plan in partition(net))
    runs = [(bodies - 4, Sharing(FOLDING, batch=2)), (4, Sharing(FOLDING, batch=2, maps="on_chip"))]
    design = shared_design(net, load_board("zcu102"), runs, seed=3)
    images = random_codes(net, frames, 1)
    with tempfile.TemporaryDirectory() as name:
        write_project(design, net, Path(name))
        compile_project(Path(name), jobs=1)
        done = simulate(Path(name), design, net, images)
    wanted = net.run(images, every=True)
    assert isinstance(wanted, dict)
    found = compare(done.maps, wanted)
    for unit in design.units:
        print(f"{unit.name}: {unit.interval_cycles} cycles a frame (modelled), {done.unit_seconds[unit.name]:.2f} s")
    print(
        f"{found.values} values of {found.maps} maps, {found.differing} differ; {done.seconds / frames:.2f} s a frame"
    )
    return 1 if found.differing else 0


if __name__ == "__main__":
    sys.exit(main(*(kind(text) for kind, text in zip((int, float, int), sys.argv[1:], strict=False))))
