"""Status registers behind AXI-Lite: which design this is, how many frames it has done, where beats had to wait."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Array, Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from deepdive.hardware.rtl.axi import ADDRESS_BITS as MEMORY_ADDRESS_BITS
from deepdive.hardware.rtl.axi import SLAVE_ERROR

MAGIC = 0xDEE9D1CE
ADDRESS_BITS = 12
"""A page of 4 KiB."""


@dataclass(frozen=True)
class RegisterMap:
    """Word offsets: magic, fingerprint (four words), frames, cycles, then two words a watched stream.

    The first word of a stream counts the cycles in which its reader was not ready, the second those in which its
    writer had nothing to give. Two words a region of external memory follow, the lower one first: the byte address
    where it begins, which can be written. The last words, one a master of external memory, keep what memory answered it
    since the word was written last: a bit each for a read with SLVERR and with DECERR, and for a write likewise.
    """

    streams: tuple[str, ...]
    bases: tuple[str, ...] = ()
    masters: tuple[str, ...] = ()

    @property
    def words(self) -> dict[str, int]:
        """Byte address of each register."""
        names = ["magic", *(f"fingerprint{i}" for i in range(4)), "frames", "cycles"]
        for stream in self.streams:
            names += [f"{stream}_blocked", f"{stream}_starved"]
        for base in self.bases:
            names += [f"{base}_low", f"{base}_high"]
        names += [f"{master}_errors" for master in self.masters]
        return {name: 4 * index for index, name in enumerate(names)}


AXI_LITE_READ = {
    "araddr": In(ADDRESS_BITS),
    "arvalid": In(1),
    "arready": Out(1),
    "rdata": Out(32),
    "rresp": Out(2),
    "rvalid": Out(1),
    "rready": In(1),
}
AXI_LITE_WRITE = {
    "awaddr": In(ADDRESS_BITS),
    "awvalid": In(1),
    "awready": Out(1),
    "wdata": In(32),
    "wstrb": In(4),
    "wvalid": In(1),
    "wready": Out(1),
    "bresp": Out(2),
    "bvalid": Out(1),
    "bready": In(1),
}
ERROR_BITS = 4


class StatusComponent(wiring.Component):
    """AXI-Lite slave of 32-bit words. A read outside the map gives 0.

    A base takes what is written, a word of errors becomes 0, and other writes are answered with SLVERR.

    `frame_done` is high for one cycle a frame; `valid` and `ready` hold a bit a watched stream; `failures` holds four
    bits a master, as in its word of errors, each high for a cycle.
    """

    def __init__(self, fingerprint: str, registers: RegisterMap) -> None:
        watched = len(registers.streams)
        ports = {"frame_done": In(1), "valid": In(watched), "ready": In(watched)}
        if registers.masters:
            ports["failures"] = In(ERROR_BITS * len(registers.masters))
        super().__init__({**AXI_LITE_READ, **AXI_LITE_WRITE, **ports})
        self.map = registers
        halves = [f"{base}_{half}" for base in registers.bases for half in ("low", "high")]
        self.bases = {name: Signal(32, name=name) for name in halves}
        self.errors = {f"{master}_errors": Signal(ERROR_BITS, name=f"{master}_errors") for master in registers.masters}
        self.fingerprint = [int(fingerprint[start : start + 8], 16) for start in range(0, 32, 8)]

    def base(self, name: str) -> Value:
        """Byte address of a region."""
        return Cat(self.bases[f"{name}_low"], self.bases[f"{name}_high"])[:MEMORY_ADDRESS_BITS]

    def failed(self, master: str) -> Value:
        """The bits of `failures` that are a master's."""
        return self.failures.word_select(self.map.masters.index(master), ERROR_BITS)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._keep_errors(m)
        self._writes(m)
        frames, cycles = Signal(32, name="frames"), Signal(32, name="cycles")
        counters = []
        for index, stream in enumerate(self.map.streams):
            blocked, starved = Signal(32, name=f"{stream}_blocked"), Signal(32, name=f"{stream}_starved")
            m.d.sync += [
                blocked.eq(blocked + (self.valid[index] & ~self.ready[index])),
                starved.eq(starved + (~self.valid[index] & self.ready[index])),
            ]
            counters += [blocked, starved]
        m.d.sync += [cycles.eq(cycles + 1), frames.eq(frames + self.frame_done)]
        registers = Array(
            [MAGIC, *self.fingerprint, frames, cycles, *counters, *self.bases.values(), *self.errors.values()]
        )
        word = self.araddr[2:]
        m.d.comb += self.arready.eq(~self.rvalid | self.rready)
        with m.If(self.arready):
            m.d.sync += self.rvalid.eq(self.arvalid)
            with m.If(word < len(registers)):
                m.d.sync += self.rdata.eq(registers[word])
            with m.Else():
                m.d.sync += self.rdata.eq(0)
        return m

    def _keep_errors(self, m: Module) -> None:
        """Until the word is written; that comes after this and wins."""
        for master, kept in zip(self.map.masters, self.errors.values(), strict=True):
            m.d.sync += kept.eq(kept | self.failed(master))

    def _writes(self, m: Module) -> None:
        """Take address and data together, answer with an error where nothing can be written."""
        take = Signal()
        m.d.comb += [
            take.eq(self.awvalid & self.wvalid & (~self.bvalid | self.bready)),
            Cat(self.awready, self.wready).eq(take.replicate(2)),
        ]
        values = {**dict.fromkeys(self.bases, self.wdata), **dict.fromkeys(self.errors, 0)}
        if not values:
            m.d.comb += self.bresp.eq(SLAVE_ERROR)
        with m.If(take):
            m.d.sync += self.bvalid.eq(1)
            if values:
                m.d.sync += self.bresp.eq(SLAVE_ERROR)
            for name, value in values.items():
                with m.If(self.awaddr[2:] == self.map.words[name] >> 2):
                    m.d.sync += [{**self.bases, **self.errors}[name].eq(value), self.bresp.eq(0)]
        with m.Elif(self.bready):
            m.d.sync += self.bvalid.eq(0)
