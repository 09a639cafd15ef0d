"""Weights of a streamed stage from external memory: the same words over and over again, read ahead into a FIFO."""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from deepdive.hardware.rtl.axi import ADDRESS_BITS, PORT, ask, burst_beats, failing, read_members
from deepdive.hardware.rtl.counters import counter, next_in
from deepdive.hardware.rtl.fifo import StreamFifo
from deepdive.hardware.rtl.transfer import Transfer
from deepdive.hardware.stages.external import READ_AHEAD, WORD_BITS, ExternalWords


def memory_image(bits: np.ndarray) -> bytes:
    """What the memory holds, of weight words uint8 (steps, width) of zeros and ones, the lowest bit first."""
    steps, width = bits.shape
    layout = ExternalWords(steps, width)
    rows = np.pad(bits, ((0, -steps % layout.together), (0, 0))).reshape(-1, layout.together * width)
    rows = np.pad(rows, ((0, 0), (0, layout.parts * WORD_BITS - rows.shape[1])))
    return np.packbits(rows, axis=1, bitorder="little").tobytes()


class WeightReader(wiring.Component):
    """A master that reads ahead, and what cuts its words into weight words.

    It asks for no burst that its FIFO has no room for: masters that share a memory port never hold each other up.

    Attributes
    ----------
    awake
        Once it has been high, reading begins, and never ends.
    base
        Byte address of the first word; a multiple of 4096.
    output
        A weight word a beat.
    """

    def __init__(self, layout: ExternalWords) -> None:
        self.layout = layout
        super().__init__(
            {
                "awake": In(1),
                "base": In(ADDRESS_BITS),
                "output": Out(stream.Signature(unsigned(layout.width))),
                **read_members(PORT, WORD_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = self.layout.words
        m.submodules.fifo = fifo = StreamFifo(WORD_BITS, READ_AHEAD)
        how = Transfer.named("pass", words, words)
        awake, allowed = Signal(), Signal(name="allowed")
        free = Signal(range(READ_AHEAD + 1), init=READ_AHEAD)
        taken, more = ask(m, self, PORT, "ar", how, self.base, allowed)
        popped = fifo.output.valid & fifo.output.ready
        with m.If(self.awake):
            m.d.sync += awake.eq(1)
        with m.If(taken):
            m.d.sync += free.eq(free - self.axi_arlen - 1 + popped)
        with m.Elif(popped):
            m.d.sync += free.eq(free + 1)
        m.d.comb += [
            how.words.eq(words),
            how.begin.eq(awake & ~more),
            allowed.eq(free >= burst_beats(WORD_BITS // 8)),
            fifo.input.payload.eq(self.axi_rdata),
            fifo.input.valid.eq(self.axi_rvalid),
            self.axi_rready.eq(fifo.input.ready),
        ]
        failing(m, self, f"{PORT}_r", self.axi_rvalid & self.axi_rready)
        if self.layout.parts > 1:
            self._join(m, fifo.output)
        else:
            self._split(m, fifo.output)
        return m

    def _join(self, m: Module, words: stream.Interface) -> None:
        """A weight word is several words of memory."""
        parts, width = self.layout.parts, self.layout.width
        part, waiting = counter(parts, "part"), Signal((parts - 1) * WORD_BITS, reset_less=True)
        whole, last = Cat(waiting, words.payload), Signal()
        m.d.comb += [
            last.eq(part == parts - 1),
            self.output.payload.eq(whole[:width]),
            self.output.valid.eq(words.valid & last),
            words.ready.eq(~last | self.output.ready),
        ]
        with m.If(words.valid & words.ready):
            m.d.sync += [part.eq(next_in(part, parts)), waiting.eq(whole[WORD_BITS:])]

    def _split(self, m: Module, words: stream.Interface) -> None:
        """A word of memory holds several weight words; the last one of a pass perhaps fewer."""
        together, steps, width = self.layout.together, self.layout.steps, self.layout.width
        place, step, last = counter(together, "place"), counter(steps, "step"), Signal()
        m.d.comb += [
            last.eq((place == together - 1) | (step == steps - 1)),
            self.output.payload.eq(words.payload[: together * width].word_select(place, width)),
            self.output.valid.eq(words.valid),
            words.ready.eq(self.output.ready & last),
        ]
        with m.If(self.output.valid & self.output.ready):
            m.d.sync += [step.eq(next_in(step, steps)), place.eq(next_in(place, together))]
            with m.If(last):
                m.d.sync += place.eq(0)
