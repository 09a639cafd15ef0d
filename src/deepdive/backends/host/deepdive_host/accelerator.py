"""The RTL accelerator, one IP core: which network it is, where its memory lies, and what that memory answered."""

from __future__ import annotations

from typing import Any

import numpy as np

from .device import Device
from .errors import HostError, RunFailed
from .network import Accelerator, Memory, read_weights

PAGE = 4096
"""Regions begin at its multiples, since bursts must not cross one."""

ERRORS = ("a read with SLVERR", "a read with DECERR", "a write with SLVERR", "a write with DECERR")
"""What the bits of a master's word of errors say, the lowest first."""


def accelerator_fingerprint(device: Device, accelerator: Accelerator) -> str:
    """The first 16 hexadecimal digits of the fingerprint of the network in the bitstream.

    Raises
    ------
    RunFailed
        When the core is none of DeepDive's.
    """
    found = read(device, accelerator, "magic")
    if found != accelerator.magic:
        raise RunFailed(
            f"Core '{accelerator.core}' says {found:#x}, no accelerator of DeepDive's ({accelerator.magic:#x}); "
            "build the bitstream with this build folder's rtl."
        )
    return "".join(f"{read(device, accelerator, f'fingerprint{index}'):08x}" for index in range(2))


def give_memories(device: Device, accelerator: Accelerator) -> list[Any]:
    """Fill the accelerator's memories, tell it where they are, and forget what went wrong in earlier runs.

    The memories are to be held until the end of the run.

    Raises
    ------
    HostError
        When a file is missing or has another size.
    """
    held = []
    for memory in accelerator.memories:
        buffer, address = place(device, memory)
        held.append(buffer)
        for index, half in enumerate(("low", "high")):
            write(device, accelerator, f"{memory.base}_{half}", address >> (32 * index) & 0xFFFFFFFF)
        for master in memory.masters:
            write(device, accelerator, f"{master}_errors", 0)
    return held


def place(device: Device, memory: Memory) -> tuple[Any, int]:
    """A buffer that holds a region, and the region's address: a multiple of a page."""
    content = read_weights(memory.file) if memory.file else np.zeros(memory.size, np.uint8)
    if len(content) != memory.size:
        raise HostError(f"'{memory.file}' holds {len(content)} bytes, want {memory.size}; copy the whole folder.")
    buffer = device.allocate((memory.size + PAGE - 1,), np.uint8)
    start = int(buffer.device_address)
    address = -(-start // PAGE) * PAGE
    buffer[...] = 0
    buffer[address - start : address - start + memory.size] = content
    buffer.flush()  # of maps as well, or what a cache still holds would overwrite them later
    return buffer, address


def check_memories(device: Device, accelerator: Accelerator) -> None:
    """Refuse a run in which a memory answered a master with an error."""
    for memory in accelerator.memories:
        for master in memory.masters:
            found = read(device, accelerator, f"{master}_errors")
            said = [error for bit, error in enumerate(ERRORS) if found >> bit & 1]
            if said:
                raise RunFailed(
                    f"Memory '{memory.name}' answered master '{master}' to {' and '.join(said)}: its codes are wrong; "
                    f"check that m_axi_{master} reaches the board's memory."
                )


def read(device: Device, accelerator: Accelerator, name: str) -> int:
    """A register by name."""
    return device.read(accelerator.core, accelerator.registers[name]) & 0xFFFFFFFF


def write(device: Device, accelerator: Accelerator, name: str, value: int) -> None:
    """Set a register by name."""
    device.write(accelerator.core, accelerator.registers[name], value)
