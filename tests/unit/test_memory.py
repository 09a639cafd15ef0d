"""Memories against counts made by hand from the primitives' shapes."""

from __future__ import annotations

import pytest

from deepdive.hardware.memory import Memory, total
from deepdive.hardware.resources import Resources
from deepdive.hardware.stream import Stream


@pytest.mark.parametrize(
    ("depth", "width", "bram36"),
    [
        (512, 36, 0.5),  # one BRAM18
        (513, 36, 1.0),  # two of 1024x18
        (512, 37, 1.0),  # two of 512x36
        (1024, 18, 0.5),
        (2304, 96, 7.5),  # 5 x 3 of 512x36
        (16384, 1, 0.5),
        (27648, 8, 7.0),  # 512x36: 54, 1024x18: 27, 2048x9: 14 x 1, 4096x4: 7 x 2
        (64 * 112, 8, 2.0),  # 2048x9: 4 x 1
    ],
)
def test_block_ram_takes_the_best_shape(depth: int, width: int, bram36: float) -> None:
    memory = Memory(name="m", depth=depth, width=width, storage="block")
    assert memory.bram36 == bram36
    assert memory.model_copy(update={"banks": 3}).bram36 == 3 * bram36
    assert memory.lut == 0


@pytest.mark.parametrize(
    ("depth", "width", "read_only", "lut"),
    [
        (64, 8, True, 8),
        (65, 8, True, 16),
        (256, 8, True, 32),  # four LUTs a bit, joined by F7 and F8
        (1024, 8, True, 8 * (16 + 1)),  # and a 4:1 multiplexer
        (2048, 1, True, 32 + 3),  # 8:1 needs three LUTs
        (64, 7, False, 8),  # RAM64M8
        (64, 14, False, 16),
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
    # As RAM 64 + 8 + 16 LUTs against one BRAM18; 1024 words need 128 + 8 + 32.
    assert Memory(name="m", depth=512, width=8).style == "distributed"
    assert Memory(name="m", depth=1024, width=8).style == "block"


def test_total_and_bits() -> None:
    memories = [Memory(name="a", depth=512, width=36, banks=2), Memory(name="b", depth=64, width=8, read_only=True)]
    assert [memory.bits for memory in memories] == [2 * 512 * 36, 64 * 8]
    assert total(memories) == Resources(lut=8, bram36=1.0)
    assert total([]) == Resources()


def fifo(depth: int) -> Resources:
    return Stream(name="s", height=1, width=1, channels=8, lanes=8, bits=8, depth=depth).resources


def test_fifo_grows_from_registers_to_block_ram() -> None:
    assert fifo(2) == Resources(lut=64 + 6, ff=2 * 64 + 4)
    assert fifo(32) == Resources(lut=64 + 4 * 6, ff=64 + 3 * 6)
    assert fifo(64).bram36 == 0
    assert fifo(2048).bram36 == 4.0  # 64 bits wide: 8 of 2048x9


def test_stream_counts_beats_and_bits() -> None:
    stream = Stream(name="s", height=3, width=5, channels=12, lanes=4, bits=6, taps=9)
    assert (stream.groups, stream.beats, stream.beat_bits) == (3, 45, 216)
    with pytest.raises(ValueError, match="5 lanes do not divide 12 channels"):
        Stream(name="s", height=3, width=5, channels=12, lanes=5, bits=8)
