"""Memories against counts made by hand from the primitives' shapes."""

from __future__ import annotations

import pytest

from deepdive.hardware.memory import Memory, total
from deepdive.hardware.resources import Resources
from deepdive.hardware.stream import Stream


@pytest.mark.parametrize(
    ("depth", "width", "bram36", "lut"),
    [
        (512, 36, 0.5, 0),  # one BRAM18
        (513, 36, 1.0, 0),  # two of 1024x18
        (512, 37, 1.0, 0),  # two of 512x36
        (1024, 18, 0.5, 0),
        (2304, 96, 7.5, 4 * 96),  # 5 x 3 of 512x36; four LUTs choose one of five
        (64000, 80, 144.0, 6 * 80),  # 2048x9, two of them a BRAM36: 16 x 9
        (1536, 400, 17.0, 400),  # 3 x 11 of 512x36, and one 2048x9 for the last four bits
        (16384, 1, 0.5, 0),
        (27648, 8, 7.0, 3 * 8),  # 512x36: 54, 1024x18: 27, 2048x9: 14 x 1, 4096x4: 7 x 2
        (64 * 112, 8, 2.0, 0),  # 8192x2: 1 x 4
    ],
)
def test_block_ram_takes_the_best_shape(depth: int, width: int, bram36: float, lut: int) -> None:
    memory = Memory(name="m", depth=depth, width=width, storage="block")
    assert memory.bram36 == bram36
    assert memory.lut == lut
    assert memory.model_copy(update={"banks": 3}).resources == Resources(lut=3 * lut, bram36=3 * bram36)


@pytest.mark.parametrize(
    ("depth", "width", "read_only", "lut"),
    [
        (64, 8, True, 8),
        (65, 8, True, 16),
        (256, 8, True, 32),  # four LUTs a bit, joined by F7 and F8
        (1024, 8, True, 8 * (16 + 1)),  # and a 4:1 multiplexer
        (2048, 1, True, 32 + 2),  # two LUTs and F7 choose one of eight
        (64, 7, False, 8),  # RAM64M8
        (64, 14, False, 16),
        (32, 14, False, 8),  # RAM32M16
        (2, 1152, False, 664),
        (96, 96, False, 3 * 7 * 8 + 96),  # three rows of RAM32M16, joined by a LUT a bit
        (1, 8, False, 0),  # registers
        (4, 1728, True, 16),  # there are only 16 functions of two address bits
    ],
)
def test_distributed_memory_counts_luts(depth: int, width: int, read_only: bool, lut: int) -> None:
    memory = Memory(name="m", depth=depth, width=width, read_only=read_only, storage="distributed")
    assert (memory.lut, memory.bram36) == (lut, 0.0)


def test_automatic_storage() -> None:
    assert Memory(name="m", depth=64, width=1000).style == "distributed"
    # 72 of 512 words: 2 LUTs a bit, 768, against 11 BRAM18 that would be nearly empty.
    assert Memory(name="m", depth=72, width=384, read_only=True).style == "distributed"
    assert Memory(name="m", depth=512, width=36, read_only=True).style == "block"
    # As RAM 4 * 2 * 8 + 8 LUTs against one BRAM18; 512 words need 8 * 2 * 8 + 3 * 8.
    assert Memory(name="m", depth=256, width=8).style == "distributed"
    assert Memory(name="m", depth=512, width=8).style == "block"


def test_total_and_bits() -> None:
    memories = [Memory(name="a", depth=512, width=36, banks=2), Memory(name="b", depth=64, width=8, read_only=True)]
    assert [memory.bits for memory in memories] == [2 * 512 * 36, 64 * 8]
    assert total(memories) == Resources(lut=8, bram36=1.0)
    assert total([]) == Resources()


def fifo(depth: int) -> Resources:
    return Stream(name="s", height=1, width=1, channels=8, lanes=8, bits=8, depth=depth).resources


def test_fifo_grows_from_registers_to_block_ram() -> None:
    assert fifo(2) == Resources(lut=64 + 4, ff=2 * 64 + 2)
    assert fifo(33) == Resources(lut=5 * 8 + 28, ff=64 + 3 * 6 + 1)
    assert fifo(64).bram36 == 0
    assert fifo(2048).bram36 == 4.0  # 64 bits wide: 8 of 2048x9
    wide = Stream(name="s", height=1, width=1, channels=16, lanes=16, bits=8)
    assert wide.resources == Resources(lut=10 * 8 + 8, ff=128 + 3 * 2 + 1)  # two words of RAM32M16


def test_stream_counts_beats_and_bits() -> None:
    stream = Stream(name="s", height=3, width=5, channels=12, lanes=4, bits=6, taps=9)
    assert (stream.groups, stream.beats, stream.beat_bits) == (3, 45, 216)
    with pytest.raises(ValueError, match="5 lanes do not divide 12 channels"):
        Stream(name="s", height=3, width=5, channels=12, lanes=5, bits=8)
