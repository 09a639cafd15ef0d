"""The FIFO of a stream: a pair of registers, or a memory with a registered output."""

from __future__ import annotations

from typing import Literal

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from deepdive.hardware.memory import Memory
from deepdive.hardware.rtl.counters import counter, next_in
from deepdive.hardware.rtl.memories import add_ram
from deepdive.hardware.stream import fifo_words


class StreamFifo(wiring.Component):
    """Holds `depth` beats of `width` bits, a wide one of two holds three; takes and gives one a clock cycle.

    Neither ready nor valid depends on the other side's signals of the same cycle, so FIFOs cut every combinational
    path between stages. With `ultra` the memory is UltraRAM.
    """

    def __init__(self, width: int, depth: int, *, ultra: bool = False) -> None:
        if depth < 2:
            raise ValueError(f"a FIFO of {depth} beats cannot move one a cycle; want at least 2")
        beat = stream.Signature(unsigned(width))
        super().__init__({"input": In(beat), "output": Out(beat)})
        self.width, self.depth = width, depth
        self.storage: Literal["auto", "ultra"] = "ultra" if ultra else "auto"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = fifo_words(self.width, self.depth)
        if words:
            self._memory(m, words)
        else:
            self._registers(m)
        return m

    def _registers(self, m: Module) -> None:
        """Output register and a second one that catches the beat which arrives when the output stalls."""
        payload, second = (Signal(self.width, name=n, reset_less=True) for n in ("first", "second"))
        valid, second_valid = Signal(name="first_valid"), Signal(name="second_valid")
        m.d.comb += [
            self.input.ready.eq(~second_valid),
            self.output.valid.eq(valid),
            self.output.payload.eq(payload),
        ]
        with m.If(~valid | self.output.ready):
            m.d.sync += [
                valid.eq(second_valid | self.input.valid),
                second_valid.eq(0),
            ]
            with m.If(second_valid):
                m.d.sync += payload.eq(second)
            with m.Else():
                m.d.sync += payload.eq(self.input.payload)
        with m.Elif(self.input.valid & ~second_valid):
            m.d.sync += [second_valid.eq(1), second.eq(self.input.payload)]

    def _memory(self, m: Module, words: int) -> None:
        """`words` beats in the memory, one in its output register."""
        ram = add_ram(m, Memory(name="fifo", depth=words, width=self.width, storage=self.storage))
        write, read = counter(words, "write"), counter(words, "read")
        level = Signal(range(words + 1))
        valid = Signal(name="output_valid")
        fetch = Signal()
        m.d.comb += [
            self.input.ready.eq(level != words),
            ram.write_enable.eq(self.input.valid & self.input.ready),
            ram.write_address.eq(write),
            ram.write_data.eq(self.input.payload),
            fetch.eq((level != 0) & (~valid | self.output.ready)),
            ram.read_enable.eq(fetch),
            ram.read_address.eq(read),
            self.output.payload.eq(ram.read_data),
            self.output.valid.eq(valid),
        ]
        m.d.sync += level.eq(level + ram.write_enable - fetch)
        with m.If(ram.write_enable):
            m.d.sync += write.eq(next_in(write, words))
        with m.If(fetch):
            m.d.sync += [read.eq(next_in(read, words)), valid.eq(1)]
        with m.Elif(self.output.ready):
            m.d.sync += valid.eq(0)
