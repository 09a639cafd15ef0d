"""Run networks of the zoo in C++ with streams as deep as the hardware's FIFOs: none deadlocks, every unit is equal.

``python benchmarks/bounded_zoo.py [MODEL[@RESOLUTION] ...]``; by default every small variant. Weights are random.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import deepdive
from deepdive.backends.build import read_build
from deepdive.models import zoo
from deepdive.simulation.compare import compare
from deepdive.simulation.engines import runner

IMAGES = 2


def check(name: str) -> None:
    """Quantize, compile and run one network."""
    model, _, size = name.partition("@")
    spec = zoo.find(model)
    resolution = int(size) if size else spec.resolution
    torch.manual_seed(0)
    network = zoo.build(model, resolution=resolution)
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, resolution, resolution, 3), dtype=np.uint8)
    net = deepdive.quantize(network, images, weights=8, activations=8, mean=spec.mean, std=spec.std)
    design = deepdive.compile(net, board="zcu102")
    with tempfile.TemporaryDirectory() as folder:
        design.write(Path(folder) / "build", backend="hls")
        build = read_build(Path(folder) / "build")
        start = time.monotonic()
        wanted = net.run(images, every=True)
        assert isinstance(wanted, dict)
        found = compare(runner("bounded")(build, images, None), wanted)
        seconds = time.monotonic() - start
    streams = [stream for unit in design.units for stream in unit.streams]
    print(
        f"{name}: {len(design.units)} units, {len(streams)} streams, {found.values:,} values, "
        f"{found.differing} differing, {seconds:.0f} s",
        flush=True,
    )


def main() -> None:
    """All networks asked for."""
    for name in sys.argv[1:] or [name for name in zoo.names() if name.endswith("_32")]:
        check(name)


if __name__ == "__main__":
    main()
