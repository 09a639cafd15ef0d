"""The design that this folder is for, and the frames that it takes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import HostError


@dataclass(frozen=True)
class Port:
    """A feature map as host and DMA see it: a byte a code, channels innermost.

    Parameters
    ----------
    stream_channels
        At least `channels`; those beyond them are padding.
    """

    height: int
    width: int
    channels: int
    stream_channels: int
    bits: int
    signed: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a frame: (height, width, channels)."""
        return self.height, self.width, self.channels

    @property
    def stream_shape(self) -> tuple[int, int, int]:
        """Of a frame in memory."""
        return self.height, self.width, self.stream_channels

    @property
    def dtype(self) -> type:
        """Of a code."""
        return np.int8 if self.signed else np.uint8


@dataclass(frozen=True)
class Weights:
    """A file that a unit reads from memory, and the register that takes its address."""

    register: str
    file: Path


@dataclass(frozen=True)
class Scratch:
    """Memory in which a unit keeps feature maps, and the registers that take its address."""

    registers: tuple[str, ...]
    size: int


@dataclass(frozen=True)
class Unit:
    """A compute unit: an IP core of this name."""

    name: str
    weights: tuple[Weights, ...]
    scratch: tuple[Scratch, ...]


@dataclass(frozen=True)
class Memory:
    """A region of external memory that the accelerator works on.

    Parameters
    ----------
    base
        The registers that take its address: ``<base>_low`` and ``<base>_high``.
    file
        What lies there in the beginning; None for nothing.
    masters
        Who reaches it; what went wrong stands in the register ``<master>_errors``.
    """

    name: str
    base: str
    size: int
    file: Path | None
    masters: tuple[str, ...]


@dataclass(frozen=True)
class Accelerator:
    """All units as one IP core.

    Parameters
    ----------
    magic
        What its first register holds.
    registers
        Offsets by name.
    """

    core: str
    magic: int
    registers: dict[str, int]
    memories: tuple[Memory, ...]


@dataclass(frozen=True)
class Network:
    """What ``network.json`` says.

    Parameters
    ----------
    units
        IP cores of their own; none where there is an `accelerator`.
    frames_inside
        Frames that the units hold before the first one comes out.
    """

    name: str
    fingerprint: str
    input: Port
    output: Port
    units: tuple[Unit, ...]
    accelerator: Accelerator | None
    frames_inside: int
    labels: tuple[str, ...]


def read_network(folder: Path) -> Network:
    """Read ``network.json`` in `folder`."""
    path = folder / "network.json"
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Network(
            name=values["network"],
            fingerprint=values["fingerprint"],
            input=Port(**values["input"]),
            output=Port(**values["output"]),
            units=tuple(
                Unit(
                    unit["name"],
                    tuple(Weights(one["register"], folder / one["file"]) for one in unit["weights"]),
                    tuple(Scratch(tuple(one["registers"]), int(one["bytes"])) for one in unit["scratch"]),
                )
                for unit in values["units"]
            ),
            accelerator=read_accelerator(values["accelerator"], folder) if "accelerator" in values else None,
            frames_inside=int(values["frames_inside"]),
            labels=tuple(values["labels"]),
        )
    except OSError as error:
        raise HostError(f"Cannot read '{path}': {error.strerror}; write the build folder again.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise HostError(f"'{path}' is no description of a network ({error}); write the build folder again.") from None


def read_accelerator(values: dict[str, Any], folder: Path) -> Accelerator:
    """The accelerator in a description."""
    memories = tuple(
        Memory(
            one["name"],
            one["base"],
            int(one["bytes"]),
            folder / one["file"] if one["file"] else None,
            tuple(one["masters"]),
        )
        for one in values["memories"]
    )
    registers = {name: int(offset) for name, offset in values["registers"].items()}
    return Accelerator(values["core"], int(values["magic"]), registers, memories)


def read_frames(path: Path, port: Port) -> np.ndarray:
    """Codes (frames, height, width, channels) from an .npy file; raw uint8 pixels are such codes."""
    try:
        frames = np.load(path, allow_pickle=False)
    except OSError as error:
        raise HostError(f"Cannot read '{path}': {error.strerror or error}.") from None
    except ValueError as error:
        raise HostError(f"'{path}' is no .npy file ({error}); save frames with numpy.save.") from None
    if not isinstance(frames, np.ndarray) or frames.dtype != port.dtype or frames.shape[1:] != port.shape:
        found = f"{frames.dtype} {frames.shape}" if isinstance(frames, np.ndarray) else "several arrays"
        wanted = f"{np.dtype(port.dtype)} (frames, {', '.join(str(size) for size in port.shape)})"
        raise HostError(f"'{path}' holds {found}; the network takes {wanted}.")
    if not len(frames):
        raise HostError(f"'{path}' holds no frame.")
    low, high = (-(1 << (port.bits - 1)), (1 << (port.bits - 1)) - 1) if port.signed else (0, (1 << port.bits) - 1)
    if frames.min() < low or frames.max() > high:
        raise HostError(f"'{path}' holds codes {frames.min()}..{frames.max()}; the network takes {low}..{high}.")
    return frames


def read_weights(path: Path) -> np.ndarray:
    """Bytes of a file of weights."""
    try:
        return np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise HostError(f"Cannot read '{path}': {error.strerror}; copy the whole folder.") from None
