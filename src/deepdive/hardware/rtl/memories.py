"""Memories of the RTL: ROM images written beside the Verilog, and instances of the two memory modules."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from amaranth.hdl import ClockSignal, Instance, Module, Signal, Value

from deepdive.hardware.memory import Memory

MEMORY_MODULES = ("deepdive_rom.v", "deepdive_ram.v")
"""The files that define the modules of their names."""


def memory_module(name: str) -> str:
    """Verilog text of one of the memory modules, or of another file that lies beside them."""
    return (files("deepdive.hardware.rtl") / "verilog" / name).read_text(encoding="utf-8")


@dataclass(frozen=True, eq=False)
class RomImage:
    """The words of a ROM.

    Parameters
    ----------
    name
        Unique in a project; the image is the file ``<name>.mem`` beside the Verilog.
    bits
        uint8 (depth, width) of zeros and ones, the lowest bit first.
    style
        ``"block"``, ``"distributed"``, or ``"external"`` for words that are read from memory.
    """

    name: str
    bits: np.ndarray
    style: str

    @property
    def depth(self) -> int:
        return int(self.bits.shape[0])

    @property
    def width(self) -> int:
        return int(self.bits.shape[1])

    def text(self) -> str:
        """What `$readmemh` reads: a word a line, hexadecimal, the highest digit first."""
        packed = np.packbits(self.bits, axis=1, bitorder="little")[:, ::-1]
        return "".join(f"{row.tobytes().hex()}\n" for row in packed)


def field_bits(values: np.ndarray, bits: int) -> np.ndarray:
    """Integers (depth, ...) as uint8 (depth, n * bits) of zeros and ones: two's complement, the lowest bit first."""
    narrow = values.astype(np.int16 if bits <= 16 else np.int64)
    planes = (narrow[..., None] >> np.arange(bits, dtype=narrow.dtype)) & 1
    return planes.astype(np.uint8).reshape(len(values), -1)


def signed_bits(values: np.ndarray) -> int:
    """Bits that hold every value in two's complement, at least 2."""
    low, high = int(values.min()), int(values.max())
    return max(2, 1 + max(high if high >= 0 else ~high, low if low >= 0 else ~low).bit_length())


def rom_image(name: str, memory: Memory, fields: list[np.ndarray]) -> RomImage:
    """An image whose words are the concatenation of `fields`, the first one lowest."""
    return RomImage(name, np.concatenate(fields, axis=1), memory.style)


def address_bits(depth: int) -> int:
    """Width of an address of a memory of `depth` words, at least 1."""
    return max(1, (depth - 1).bit_length())


def read_rom(m: Module, image: RomImage, *, enable: Value, address: Value, name: str = "") -> Signal:
    """Add a ROM to `m`; its data follow `address` by one enabled clock cycle. `name` is the image's by default."""
    data = Signal(image.width, name=f"{name or image.name}_data")
    m.submodules[f"{name or image.name}_rom"] = Instance(
        "deepdive_rom",
        p_WIDTH=image.width,
        p_DEPTH=image.depth,
        p_ADDRESS_BITS=address_bits(image.depth),
        p_STYLE=image.style,
        p_FILE=f"{image.name}.mem",
        i_clk=ClockSignal(),
        i_enable=enable,
        i_address=address,
        o_data=data,
    )
    return data


@dataclass(frozen=True)
class RamPorts:
    """Signals of a RAM with one write and one read port."""

    write_enable: Signal
    write_address: Signal
    write_data: Signal
    read_enable: Signal
    read_address: Signal
    read_data: Signal


def add_ram(m: Module, memory: Memory) -> RamPorts:
    """Add a RAM to `m`; the read data follow the address by one enabled clock cycle.

    A memory of one word becomes a register whose write is seen by the next read, so that a read-modify-write loop
    may run through it in consecutive cycles; a deeper one must not be read in the cycle that writes the same word.
    """
    name, bits = memory.name, address_bits(memory.depth)
    ports = RamPorts(
        write_enable=Signal(name=f"{name}_write_enable"),
        write_address=Signal(bits, name=f"{name}_write_address"),
        write_data=Signal(memory.width, name=f"{name}_write_data"),
        read_enable=Signal(name=f"{name}_read_enable"),
        read_address=Signal(bits, name=f"{name}_read_address"),
        read_data=Signal(memory.width, name=f"{name}_read_data", reset_less=True),
    )
    if memory.depth == 1:
        with m.If(ports.write_enable):
            m.d.sync += ports.read_data.eq(ports.write_data)
        return ports
    m.submodules[f"{name}_ram"] = Instance(
        "deepdive_ram",
        p_WIDTH=memory.width,
        p_DEPTH=memory.depth,
        p_ADDRESS_BITS=bits,
        p_STYLE=memory.style,
        i_clk=ClockSignal(),
        i_write_enable=ports.write_enable,
        i_write_address=ports.write_address,
        i_write_data=ports.write_data,
        i_read_enable=ports.read_enable,
        i_read_address=ports.read_address,
        o_read_data=ports.read_data,
    )
    return ports
