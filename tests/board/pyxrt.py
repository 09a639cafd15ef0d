"""The same board as XRT's Python bindings show it: registers of cores, an AXI DMA driven directly, buffer objects."""

from enum import Enum

import numpy as np
from pynq import BOARD, Accelerator, Buffer, Channel, Fingerprint, Unit, allocate


class xclBOSyncDirection(Enum):  # noqa: N801
    XCL_BO_SYNC_BO_TO_DEVICE = 0
    XCL_BO_SYNC_BO_FROM_DEVICE = 1


class device:  # noqa: N801
    def __init__(self, index):
        assert index == 0
        self.accelerator = Accelerator()

    def load_xclbin(self, path):
        assert path.endswith(".xclbin")
        return "uuid"


class bo:  # noqa: N801
    normal = "normal"

    def __init__(self, card, size, flags, group):
        assert (flags, group) == ("normal", 0)
        self.bytes = np.full(-(-size // 4096) * 4096, 0x55, np.uint8)  # whole pages
        self.seen = allocate((size,), np.uint8)

    def map(self):
        return memoryview(self.bytes)

    def address(self):
        return self.seen.device_address

    def sync(self, direction, size, offset):
        assert (size, offset) == (self.seen.size, 0)
        if direction is xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE:
            self.seen[:] = self.bytes[:size]
            self.seen.flush()
        else:
            self.bytes[:size] = self.seen


class Dma:
    """PG021, direct register mode."""

    def __init__(self, accelerator):
        self.channels = {0x00: Channel(accelerator, True), 0x30: Channel(accelerator, False)}
        self.registers = {}

    def read_register(self, offset):
        start = offset & 0x30
        channel = self.channels[start]
        if offset == start:
            return self.registers[offset] & ~4  # out of reset at once
        assert offset == start + 4
        if channel.error:
            return 0x10
        return 0 if channel.buffer is None else 2 * bool(channel.idle)

    def write_register(self, offset, value):
        assert 0 <= value < 1 << 32
        self.registers[offset] = value
        start = 0x00 if offset < 0x30 else 0x30
        if offset == start + 0x28:
            assert self.registers[start] == 1  # runs
            memory = allocate.memory[self.registers[start + 0x18] | self.registers[start + 0x1C] << 32]
            assert value == memory.size
            assert start != 0x00 or memory.flushed
            self.channels[start].transfer(memory.view(Buffer))


class ip:  # noqa: N801
    def __init__(self, card, uuid, name):
        assert uuid == "uuid"
        if name == "dma":
            core = Dma(card.accelerator)
            self.read_register, self.write_register = core.read_register, core.write_register
        else:
            core = Fingerprint() if name == "fingerprint" else Unit(name, card.accelerator)
            core = card.accelerator.core if name == "accelerator" else core
            assert name in ("fingerprint", "accelerator") or name in BOARD["units"]
            self.read_register = core.read
            self.write_register = getattr(core, "write", None)
