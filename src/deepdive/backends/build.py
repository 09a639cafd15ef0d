"""The build folder: a design, its network, and the project that a backend wrote from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deepdive.compiler.design import Design
from deepdive.errors import DeepDiveError
from deepdive.files import atomic_folder
from deepdive.qnet import QNet
from deepdive.qnet.fingerprint import fingerprint
from deepdive.qnet.onnx_file import load

DESIGN_FILE = "design.json"
NET_FILE = "net.onnx"

Writer = Callable[[Design, QNet, Path], None]
"""Writes a backend's project into a folder that exists."""


@dataclass(frozen=True)
class Build:
    """A build folder that was read and whose design belongs to its network."""

    path: Path
    design: Design
    net: QNet


def write_build(design: Design, net: QNet, path: str | Path, writers: dict[str, Writer]) -> Build:
    """Write a build folder, whole or not at all.

    Parameters
    ----------
    path
        A new or empty folder, or one that DeepDive wrote: that one is replaced.
    writers
        Subfolder name to the backend that fills it.
    """
    check_pair(design, net)
    with atomic_folder(path, marker=DESIGN_FILE) as folder:
        design.save(folder / DESIGN_FILE)
        net.save(folder / NET_FILE)
        for name, write in writers.items():
            (folder / name).mkdir()
            write(design, net, folder / name)
    return Build(Path(path), design, net)


def read_build(path: str | Path) -> Build:
    """Read the folder that `write_build` wrote.

    Raises
    ------
    DeepDiveError
        When it is no build folder, or its design is of another network.
    """
    path = Path(path)
    if not (path / DESIGN_FILE).is_file():
        raise DeepDiveError(f"'{path}' is no build folder (no {DESIGN_FILE}); write one with 'deepdive compile'.")
    design, net = Design.load(path / DESIGN_FILE), load(path / NET_FILE)
    check_pair(design, net)
    return Build(path, design, net)


def check_pair(design: Design, net: QNet) -> None:
    """Refuse a design that was compiled from another network."""
    if design.fingerprint != fingerprint(net):
        raise DeepDiveError(
            f"The design is of network {design.fingerprint[:12]}, not of '{net.name}' ({fingerprint(net)[:12]}); "
            "compile the network again."
        )
