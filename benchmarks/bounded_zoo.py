"""Run networks of the zoo in C++ with streams as deep as the hardware's FIFOs: none deadlocks, every unit is equal.

``PYTHONPATH=src:tests python benchmarks/bounded_zoo.py [--weights 4] [MODEL[@RESOLUTION] ...]``; by default every
network of the zoo, and MobileNetV3, EfficientNet-B0 and MNASNet. Weights are random. Then the deepest FIFO of a fork's
later reader is made two beats deep: the run must end, and name it. A network without forks has none that could be too
shallow.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from pathlib import Path

import numpy as np
from named_networks import CLASSICS, network

import deepdive
from deepdive.backends.build import Build, write_build
from deepdive.backends.writers import writers
from deepdive.errors import CheckFailed
from deepdive.hardware.stream import Stream
from deepdive.hardware.units import Unit
from deepdive.models import zoo
from deepdive.simulation.compare import compare
from deepdive.simulation.csim import PROJECT, run_bounded

IMAGES = 2


def check(name: str, weights: int) -> None:
    """Compile and run one network."""
    net, images = network(name, weights, IMAGES)
    try:
        design = deepdive.compile(net, board="zcu102")
    except CheckFailed as error:
        print(f"{name}: {error}", flush=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        build = write_build(design, net, Path(folder) / "build", writers("hls"))
        start = time.monotonic()
        wanted = net.run(images, every=True)
        assert isinstance(wanted, dict)
        found = compare(run_bounded(build, images), wanted)
        seconds = time.monotonic() - start
        streams = [stream for unit in design.units for stream in unit.streams]
        print(
            f"{name}: {len(design.units)} units, {len(streams)} streams, {found.values:,} values, "
            f"{found.differing} differing, {seconds:.0f} s; {shallow(build, images)}",
            flush=True,
        )


def shallow(build: Build, images: np.ndarray) -> str:
    """Make the deepest FIFO behind a fork two beats deep; what the run then says."""
    skips = [(stream.depth, unit, stream.name) for unit in build.design.units for stream in later_readers(unit)]
    if not skips:
        return "no map is read twice"
    depth, unit, name = max(skips, key=lambda skip: skip[0])
    source = build.path / PROJECT / "bounded" / f"{unit.name}.cpp"
    text, count = re.subn(rf", {depth}> {name}_stream\{{", rf", 2> {name}_stream{{", source.read_text())
    assert count == 1
    source.write_text(text)
    try:
        run_bounded(build, images)
    except CheckFailed as error:
        named = f"for room in stream '{name}_stream' of 2 beats" in str(error)
        return f"'{name}' with 2 beats instead of {depth}: {'named' if named else f'NOT NAMED: {error}'}"
    return f"'{name}' with 2 beats instead of {depth}: RUNS"


def later_readers(unit: Unit) -> list[Stream]:
    """The streams of a unit in which a fork's second copy waits."""
    return [stage.outputs[1] for stage in unit.stages if stage.kind == "fork"]


def main() -> None:
    """All networks asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=[*zoo.names(), *CLASSICS])
    parser.add_argument("--weights", type=int, default=8)
    given = parser.parse_args()
    for name in given.networks:
        check(name, given.weights)


if __name__ == "__main__":
    main()
