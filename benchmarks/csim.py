"""How fast networks are emitted and simulated in C: ``PYTHONPATH=src:tests python benchmarks/csim.py --paper FOLDER``.

EfficientNet-Lite0 at 224x224 with random weights, and the paper's published network when its folder is given, as the
compiler fits them to a ZCU102. For each: CPU seconds of emission, and images a second, a CPU second, with one worker
and with two. Only a quiet machine of two cores tells how much a second worker brings; the load before each run is
printed beside it.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np

import deepdive
from deepdive.backends.build import Build, write_build
from deepdive.backends.writers import writers
from deepdive.compiler.compile import compile as compile_network
from deepdive.qnet import QNet
from deepdive.simulation import csim
from zoo_networks import efficientnet_lite0


def main() -> None:
    """All networks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--paper", type=Path, help="folder of the paper's published network")
    given = parser.parse_args()
    nets = [efficientnet_lite0()]
    if given.paper:
        nets.append(deepdive.import_(given.paper))
    for net in nets:
        with tempfile.TemporaryDirectory() as folder:
            measure(net, Path(folder), given.frames)


def measure(net: QNet, folder: Path, frames: int) -> None:
    """Emit, compile and run one network."""
    design = compile_network(net, board="zcu102")
    start = time.process_time()
    build = write_build(design, net, folder / "build", writers("hls"))
    print(f"{net.name}: emission {time.process_time() - start:.1f} s of CPU", flush=True)
    csim.compile_project(build.path / csim.PROJECT)
    images = np.random.default_rng(0).integers(net.input.q_min, net.input.q_max + 1, (frames, *net.input.shape))
    for workers in (1, 2):
        run(build, images.astype(net.input.dtype), workers)


def run(build: Build, images: np.ndarray, workers: int) -> None:
    """Simulate all images in so many processes."""
    load = os.getloadavg()[0]
    before, start = children(), time.monotonic()
    with mock.patch.object(csim, "cores", return_value=workers):
        csim.simulate(build.path / csim.PROJECT, build.design, build.net, images)
    seconds, cpu = time.monotonic() - start, children() - before
    print(
        f"  {workers} workers: {len(images) / seconds:.2f} images/s, {len(images) / cpu:.2f} images a CPU second "
        f"(load before: {load:.1f})",
        flush=True,
    )


def children() -> float:
    """CPU seconds of finished child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
