"""A board with a bitstream loaded: registers of cores, one DMA engine, memory that it reaches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np

from .errors import HostError, RunFailed

DMA = "dma"
FINGERPRINT = "fingerprint"
FINGERPRINT_OFFSETS = (0x0, 0x8)
"""The data registers of the two channels of an AXI GPIO (PG144)."""

CONTROL = 0x0
START, IDLE = 1, 4
"""Bits of a unit's control register (UG1399)."""


class Device(ABC):
    """What a run needs of a board; `pynq_device` and `xrt_device` are two ways to it.

    A device is made of a bitstream and the cores that must be in it.
    """

    @abstractmethod
    def read(self, core: str, offset: int) -> int:
        """A register of 32 bits."""

    @abstractmethod
    def write(self, core: str, offset: int, value: int) -> None:
        """Set a register of 32 bits."""

    @abstractmethod
    def registers(self, core: str) -> dict[str, int]:
        """Offsets of a core's registers, by name.

        Raises
        ------
        KeyError
            When the bitstream holds no such core.
        """

    @abstractmethod
    def allocate(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """A NumPy array in memory that the DMA reaches, with `device_address`, `flush` and `invalidate`."""

    @abstractmethod
    def send(self, buffer: np.ndarray) -> None:
        """Begin to send a frame; the one before has gone out."""

    @abstractmethod
    def receive(self, buffer: np.ndarray) -> None:
        """Begin to receive a frame; the one before has come in."""

    @abstractmethod
    def sent(self) -> bool:
        """Whether the frame has gone out."""

    @abstractmethod
    def received(self) -> bool:
        """Whether the frame has come in."""

    def fingerprint(self) -> str:
        """The first 16 hexadecimal digits of the fingerprint of the network in the bitstream."""
        return "".join(f"{self.read(FINGERPRINT, offset) & 0xFFFFFFFF:08x}" for offset in FINGERPRINT_OFFSETS)

    def start(self, unit: str, frames: int, addresses: dict[str, int]) -> None:
        """Let a unit take `frames` frames; `addresses` are those of its weights, by register."""
        try:
            registers = self.registers(unit)
        except KeyError:
            raise RunFailed(f"The bitstream holds no unit '{unit}'; build it again from this build folder.") from None
        if not self.read(unit, CONTROL) & IDLE:
            raise RunFailed(f"Unit '{unit}' is still busy with an earlier run; power the board off and on.")
        for name, value in {"frames": frames, **addresses}.items():
            # An address of 64 bits is two registers.
            parts = [name] if name in registers else [f"{name}_1", f"{name}_2"]
            for index, part in enumerate(parts):
                if part not in registers:
                    raise RunFailed(f"Unit '{unit}' has no register '{part}'; build the bitstream again.")
                self.write(unit, registers[part], value >> (32 * index) & 0xFFFFFFFF)
        self.write(unit, CONTROL, START)


def check_files(*paths: Path) -> None:
    """Refuse to go on without them."""
    for path in paths:
        if not path.is_file():
            raise HostError(f"There is no '{path}'; build it with 'make bitstream' and copy it here.")


def missing_core(bitstream: Path, name: str) -> RunFailed:
    """A bitstream that is not DeepDive's."""
    return RunFailed(f"'{bitstream}' holds no core '{name}'; it is no bitstream of DeepDive.")


def failed_channel(name: str) -> RunFailed:
    """A DMA channel in error."""
    return RunFailed(f"The DMA's {name} channel reports an error; build the bitstream again and reload it.")
