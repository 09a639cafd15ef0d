"""The board through XRT's Python bindings: registers as IPs of an .xclbin, the AXI DMA driven directly (PG021)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from .device import DMA, Device, check_files, failed_channel, missing_core
from .errors import HostError, RunFailed

SEND, RECEIVE = 0x00, 0x30
"""Where a channel's registers begin."""
CONTROL, STATUS, ADDRESS, LENGTH = 0x00, 0x04, 0x18, 0x28
RUN, RESET = 1, 4
IDLE, ERRORS = 1 << 1, 0x70
"""Bits of a channel's control and status registers."""
RESET_S = 1.0


class Buffer(np.ndarray):
    """An array in a buffer object."""

    bo: Any
    to_device: Any
    from_device: Any

    @property
    def device_address(self) -> int:
        """Where the DMA finds it."""
        return int(self.bo.address())

    def flush(self) -> None:
        """What was written here becomes visible to the DMA."""
        self.bo.sync(self.to_device, self.nbytes, 0)

    def invalidate(self) -> None:
        """What the DMA wrote becomes visible here."""
        self.bo.sync(self.from_device, self.nbytes, 0)


class XrtDevice(Device):
    """A board with XRT.

    Parameters
    ----------
    bitstream
        An .xclbin file with the .hwh of the same system beside it, which knows the registers' names.
    cores
        Names of cores that it must hold.

    Raises
    ------
    HostError
        No pyxrt, no such file.
    RunFailed
        A bitstream that is not DeepDive's, a DMA that does not come out of reset.
    """

    def __init__(self, bitstream: Path, cores: tuple[str, ...]) -> None:
        check_files(bitstream, bitstream.with_suffix(".hwh"))
        try:
            import pyxrt
        except ImportError as error:
            raise HostError(f"pyxrt cannot be imported ({error}); install XRT, or use --api pynq.") from None
        if not hasattr(pyxrt, "ip"):
            raise HostError("This pyxrt has no class 'ip', through which registers are reached; install a newer XRT.")
        self._xrt = pyxrt
        self._registers = read_registers(bitstream.with_suffix(".hwh"))
        for name in cores:
            if name not in self._registers:
                raise missing_core(bitstream, name)
        self._device = pyxrt.device(0)
        self._uuid = self._device.load_xclbin(str(bitstream))
        self._ips: dict[str, Any] = {}
        for channel in (SEND, RECEIVE):
            self._reset(channel)

    def read(self, core: str, offset: int) -> int:
        return int(self._ip(core).read_register(offset))

    def write(self, core: str, offset: int, value: int) -> None:
        self._ip(core).write_register(offset, value)

    def registers(self, core: str) -> dict[str, int]:
        return self._registers[core]

    def allocate(self, shape: tuple[int, ...], dtype: Any) -> Any:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        bo = self._xrt.bo(self._device, size, self._xrt.bo.normal, 0)
        array = np.frombuffer(bo.map(), np.uint8)[:size].view(dtype).reshape(shape).view(Buffer)
        direction = self._xrt.xclBOSyncDirection
        array.bo = bo
        array.to_device = direction.XCL_BO_SYNC_BO_TO_DEVICE
        array.from_device = direction.XCL_BO_SYNC_BO_FROM_DEVICE
        return array

    def send(self, buffer: Any) -> None:
        buffer.flush()
        self._transfer(SEND, buffer)

    def receive(self, buffer: Any) -> None:
        self._transfer(RECEIVE, buffer)

    def sent(self) -> bool:
        return self._done("send", SEND)

    def received(self) -> bool:
        return self._done("receive", RECEIVE)

    def _ip(self, core: str) -> Any:
        if core not in self._ips:
            self._ips[core] = self._xrt.ip(self._device, self._uuid, core)
        return self._ips[core]

    def _reset(self, channel: int) -> None:
        self.write(DMA, channel + CONTROL, RESET)
        end = time.monotonic() + RESET_S
        while self.read(DMA, channel + CONTROL) & RESET:
            if time.monotonic() > end:
                raise RunFailed("The DMA does not come out of reset; power the board off and on.")
        self.write(DMA, channel + CONTROL, RUN)

    def _transfer(self, channel: int, buffer: Any) -> None:
        """Writing the length begins the transfer."""
        address = buffer.device_address
        self.write(DMA, channel + ADDRESS, address & 0xFFFFFFFF)
        self.write(DMA, channel + ADDRESS + 4, address >> 32)
        self.write(DMA, channel + LENGTH, buffer.nbytes)

    def _done(self, name: str, channel: int) -> bool:
        status = self.read(DMA, channel + STATUS)
        if status & ERRORS:
            raise failed_channel(name)
        return bool(status & IDLE)


def read_registers(handoff: Path) -> dict[str, dict[str, int]]:
    """Offsets of registers by name, of every core that a hardware hand-off file (.hwh) describes."""
    try:
        root = ElementTree.parse(str(handoff)).getroot()
        return {
            module.attrib["INSTANCE"]: {
                register.attrib["NAME"]: int(one.attrib["VALUE"], 0)
                for register in module.iter("REGISTER")
                for one in register.iter("PROPERTY")
                if one.attrib["NAME"] == "ADDRESS_OFFSET"
            }
            for module in root.iter("MODULE")
        }
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise HostError(
            f"'{handoff}' is no hardware hand-off file ({error}); copy it from the bitstream's folder."
        ) from None
