"""Status registers behind AXI-Lite: which design this is, how many frames it has done, where beats had to wait."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Array, Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from deepdive.hardware.rtl.axi import ADDRESS_BITS as MEMORY_ADDRESS_BITS

MAGIC = 0xDEE9D1CE
ADDRESS_BITS = 12
"""A page of 4 KiB."""


@dataclass(frozen=True)
class RegisterMap:
    """Word offsets: magic, fingerprint (four words), frames, cycles, then two words a watched stream.

    The first word of a stream counts the cycles in which its reader was not ready, the second those in which its
    writer had nothing to give. Two words a region of external memory follow, the lower one first: the byte address
    where it begins, which can be written.
    """

    streams: tuple[str, ...]
    bases: tuple[str, ...] = ()

    @property
    def words(self) -> dict[str, int]:
        """Byte address of each register."""
        names = ["magic", *(f"fingerprint{i}" for i in range(4)), "frames", "cycles"]
        for stream in self.streams:
            names += [f"{stream}_blocked", f"{stream}_starved"]
        for base in self.bases:
            names += [f"{base}_low", f"{base}_high"]
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
SLAVE_ERROR = 2


class StatusComponent(wiring.Component):
    """AXI-Lite slave of 32-bit words: writes but to a base are answered with SLVERR, a read outside the map gives 0.

    `frame_done` is high for one cycle a frame; `valid` and `ready` hold a bit a watched stream.
    """

    def __init__(self, fingerprint: str, streams: tuple[str, ...], bases: tuple[str, ...] = ()) -> None:
        ports = {"frame_done": In(1), "valid": In(len(streams)), "ready": In(len(streams))}
        super().__init__({**AXI_LITE_READ, **AXI_LITE_WRITE, **ports})
        self.map = RegisterMap(streams, bases)
        self.bases = {f"{base}_{half}": Signal(32, name=f"{base}_{half}") for base in bases for half in ("low", "high")}
        self.fingerprint = [int(fingerprint[start : start + 8], 16) for start in range(0, 32, 8)]

    def base(self, name: str) -> Value:
        """Byte address of a region."""
        return Cat(self.bases[f"{name}_low"], self.bases[f"{name}_high"])[:MEMORY_ADDRESS_BITS]

    def elaborate(self, platform: object) -> Module:
        m = Module()
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
        registers = Array([MAGIC, *self.fingerprint, frames, cycles, *counters, *self.bases.values()])
        word = self.araddr[2:]
        m.d.comb += self.arready.eq(~self.rvalid | self.rready)
        with m.If(self.arready):
            m.d.sync += self.rvalid.eq(self.arvalid)
            with m.If(word < len(registers)):
                m.d.sync += self.rdata.eq(registers[word])
            with m.Else():
                m.d.sync += self.rdata.eq(0)
        return m

    def _writes(self, m: Module) -> None:
        """Take address and data together, answer with an error."""
        take = Signal()
        m.d.comb += [
            take.eq(self.awvalid & self.wvalid & (~self.bvalid | self.bready)),
            Cat(self.awready, self.wready).eq(take.replicate(2)),
        ]
        if not self.bases:
            m.d.comb += self.bresp.eq(SLAVE_ERROR)
        with m.If(take):
            m.d.sync += self.bvalid.eq(1)
            if self.bases:
                m.d.sync += self.bresp.eq(SLAVE_ERROR)
            for name, register in self.bases.items():
                with m.If(self.awaddr[2:] == self.map.words[name] >> 2):
                    m.d.sync += [register.eq(self.wdata), self.bresp.eq(0)]
        with m.Elif(self.bready):
            m.d.sync += self.bvalid.eq(0)
