"""How long every network of the zoo takes to be written as C++: ``PYTHONPATH=src:tests python benchmarks/emission.py``.

CPU seconds of the search and of the emission of the project for ZCU102, and what it weighs; weights are random.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from named_networks import CLASSICS, network

import deepdive
from deepdive.backends.build import write_build
from deepdive.backends.writers import writers
from deepdive.errors import CheckFailed
from deepdive.models import zoo


def main() -> None:
    """One row a network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=[*zoo.names(), *CLASSICS])
    parser.add_argument("--weights", type=int, default=8)
    parser.add_argument("--board", default="zcu102")
    given = parser.parse_args()
    print("network | units | search s | emission s | MB")
    for name in given.networks:
        net, _ = network(name, given.weights, images=2)
        start = time.process_time()
        try:
            design = deepdive.compile(net, board=given.board)
        except CheckFailed as error:
            print(f"{name} | {error}", flush=True)
            continue
        search = time.process_time() - start
        with tempfile.TemporaryDirectory() as folder:
            start = time.process_time()
            build = write_build(design, net, Path(folder) / "build", writers("hls"))
            emission = time.process_time() - start
            size = sum(path.stat().st_size for path in build.path.rglob("*") if path.is_file())
        print(f"{name} | {len(design.units)} | {search:.1f} | {emission:.1f} | {size / 1e6:.0f}", flush=True)


if __name__ == "__main__":
    main()
