"""The board through pynq: registers by name, one DMA engine, memory that it reaches."""

from __future__ import annotations

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


class Device:
    """A board with a bitstream loaded.

    Parameters
    ----------
    bitstream
        A .bit file with its .hwh beside it.

    Raises
    ------
    HostError
        No pynq, no such file.
    RunFailed
        A bitstream that is not DeepDive's.
    """

    def __init__(self, bitstream: Path) -> None:
        for path in (bitstream, bitstream.with_suffix(".hwh")):
            if not path.is_file():
                raise HostError(f"There is no '{path}'; build it with 'make bitstream' and copy it here.")
        try:
            import pynq
        except ImportError as error:
            raise HostError(f"pynq cannot be imported ({error}); use a board image with PYNQ.") from None
        self._allocate = pynq.allocate
        self._overlay = pynq.Overlay(str(bitstream))
        self._cores: dict[str, Any] = self._overlay.ip_dict
        for name in (DMA, FINGERPRINT):
            if name not in self._cores:
                raise RunFailed(f"'{bitstream}' holds no core '{name}'; it is no bitstream of DeepDive.")
        self._dma = getattr(self._overlay, DMA)

    def fingerprint(self) -> str:
        """The first 16 hexadecimal digits of the fingerprint of the network in the bitstream."""
        core = getattr(self._overlay, FINGERPRINT)
        return "".join(f"{core.read(offset) & 0xFFFFFFFF:08x}" for offset in FINGERPRINT_OFFSETS)

    def allocate(self, shape: tuple[int, ...], dtype: type) -> Any:
        """A NumPy array in memory that the DMA reaches."""
        return self._allocate(shape=shape, dtype=dtype)

    def start(self, unit: str, frames: int, addresses: dict[str, int]) -> None:
        """Let a unit take `frames` frames; `addresses` are those of its weights, by register."""
        if unit not in self._cores:
            raise RunFailed(f"The bitstream holds no unit '{unit}'; build it again from this build folder.")
        core = getattr(self._overlay, unit)
        if not core.read(CONTROL) & IDLE:
            raise RunFailed(f"Unit '{unit}' is still busy with an earlier run; power the board off and on.")
        registers = self._cores[unit]["registers"]
        for name, value in {"frames": frames, **addresses}.items():
            # An address of 64 bits is two registers.
            parts = [name] if name in registers else [f"{name}_1", f"{name}_2"]
            for index, part in enumerate(parts):
                if part not in registers:
                    raise RunFailed(f"Unit '{unit}' has no register '{part}'; build the bitstream again.")
                core.write(registers[part]["address_offset"], value >> (32 * index) & 0xFFFFFFFF)
        core.write(CONTROL, START)

    def send(self, buffer: np.ndarray) -> None:
        """Begin to send a frame; the one before has gone out."""
        self._dma.sendchannel.transfer(buffer)

    def receive(self, buffer: np.ndarray) -> None:
        """Begin to receive a frame; the one before has come in."""
        self._dma.recvchannel.transfer(buffer)

    def sent(self) -> bool:
        """Whether the frame has gone out."""
        return self._done("send", self._dma.sendchannel)

    def received(self) -> bool:
        """Whether the frame has come in."""
        return self._done("receive", self._dma.recvchannel)

    def _done(self, name: str, channel: Any) -> bool:
        if channel.error:
            raise RunFailed(f"The DMA's {name} channel reports an error; build the bitstream again and reload it.")
        return bool(channel.idle)
