"""Writes the runtime on the board: Python files that know no design, and one JSON file that says what it is."""

from __future__ import annotations

import json
import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from deepdive.backends.vitis.unit_code import UnitCode, unit_code
from deepdive.compiler.design import Design
from deepdive.hardware.stages import SharedBody, Stage
from deepdive.hardware.stream import Stream
from deepdive.qnet import FeatureMap, QNet

PACKAGE = "deepdive_host"
RUN = f'''"""Runs frames on the board: python3 run.py frames.npy."""

import sys

from {PACKAGE}.cli import main

sys.exit(main(sys.argv[1:]))
'''


def write_host(design: Design, net: QNet, folder: Path) -> None:
    """Write the runtime of a C++ design into `folder`, which exists.

    ``network.json`` says shapes, units and fingerprint; ``weights/`` holds what units read from memory.
    """
    codes = [unit_code(unit, net) for unit in design.units]
    units = [{"name": code.name, "weights": write_weights(code, folder), "scratch": scratch(code)} for code in codes]
    write_runtime(design, net, folder, {"units": units})


def write_runtime(design: Design, net: QNet, folder: Path, hardware: dict[str, Any]) -> None:
    """The files that know no design, and ``network.json``, in which `hardware` says how to reach the design."""
    with as_file(files("deepdive.backends.host")) as here:
        shutil.copytree(here / PACKAGE, folder / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(here / "README.md", folder / "README.md")
    (folder / "run.py").write_text(RUN, encoding="utf-8")
    description = {
        "format": 1,
        "network": net.name,
        "fingerprint": design.fingerprint,
        "clock_mhz": design.clock_mhz,
        "input": port(net.input, design.units[0].input),
        "output": port(net.output, design.units[-1].output),
        **hardware,
        "frames_inside": sum(frames_inside(stage) for unit in design.units for stage in unit.stages),
        "labels": list(net.labels),
    }
    (folder / "network.json").write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")


def frames_inside(stage: Stage) -> int:
    """Frames that a stage must have taken before it gives its first: those of three phases of a shared body."""
    return 3 * stage.batch if isinstance(stage, SharedBody) else 0


def port(feature_map: FeatureMap, stream: Stream) -> dict[str, Any]:
    """A feature map as host and DMA see it: the stream may have more channels than the network."""
    height, width, channels = feature_map.shape
    return {
        "height": height,
        "width": width,
        "channels": channels,
        "stream_channels": stream.pixel_channels(width),
        "bits": feature_map.bits,
        "signed": feature_map.signed,
    }


def write_weights(code: UnitCode, folder: Path) -> list[dict[str, str]]:
    """Write the weights that a unit reads from memory; returns their registers and files."""
    found = []
    for port in code.ports:
        if port.buffer.image is not None:
            (folder / "weights").mkdir(exist_ok=True)
            file = f"weights/{code.name}_{port.buffer.name}.bin"
            (folder / file).write_bytes(port.buffer.image.tobytes())
            found.append({"register": port.name, "file": file})
    return found


def scratch(code: UnitCode) -> list[dict[str, Any]]:
    """Memory in which a unit keeps feature maps between its blocks: its size, and the registers that point to it."""
    return [
        {
            "registers": [port.name for port in code.ports if port.buffer.name == buffer.name],
            "bytes": buffer.words * buffer.word_bytes,
        }
        for buffer in code.buffers
        if buffer.image is None
    ]
