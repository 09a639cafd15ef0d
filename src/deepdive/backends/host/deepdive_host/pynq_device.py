"""The board through pynq."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .device import DMA, Device, check_files, failed_channel, missing_core
from .errors import HostError


class PynqDevice(Device):
    """A board image with PYNQ.

    Parameters
    ----------
    bitstream
        A .bit file with its .hwh beside it.
    cores
        Names of cores that it must hold.

    Raises
    ------
    HostError
        No pynq, no such file.
    RunFailed
        A bitstream that is not DeepDive's.
    """

    def __init__(self, bitstream: Path, cores: tuple[str, ...]) -> None:
        check_files(bitstream, bitstream.with_suffix(".hwh"))
        try:
            import pynq
        except ImportError as error:
            raise HostError(f"pynq cannot be imported ({error}); use a board image with PYNQ, or --api xrt.") from None
        self._allocate = pynq.allocate
        self._overlay = pynq.Overlay(str(bitstream))
        self._cores: dict[str, Any] = self._overlay.ip_dict
        for name in cores:
            if name not in self._cores:
                raise missing_core(bitstream, name)
        self._dma = getattr(self._overlay, DMA)

    def read(self, core: str, offset: int) -> int:
        return int(getattr(self._overlay, core).read(offset))

    def write(self, core: str, offset: int, value: int) -> None:
        getattr(self._overlay, core).write(offset, value)

    def registers(self, core: str) -> dict[str, int]:
        return {name: one["address_offset"] for name, one in self._cores[core]["registers"].items()}

    def allocate(self, shape: tuple[int, ...], dtype: Any) -> Any:
        return self._allocate(shape=shape, dtype=dtype)

    def send(self, buffer: np.ndarray) -> None:
        self._dma.sendchannel.transfer(buffer)

    def receive(self, buffer: np.ndarray) -> None:
        self._dma.recvchannel.transfer(buffer)

    def sent(self) -> bool:
        return self._done("send", self._dma.sendchannel)

    def received(self) -> bool:
        return self._done("receive", self._dma.recvchannel)

    def _done(self, name: str, channel: Any) -> bool:
        if channel.error:
            raise failed_channel(name)
        return bool(channel.idle)
