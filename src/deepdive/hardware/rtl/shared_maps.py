"""Feature maps of a shared unit in memories on chip: from a memory to a stream, from a stream into a memory."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value

from deepdive.hardware.rtl.memories import RamPorts
from deepdive.hardware.rtl.transfer import Beats, Transfer


def read_map(m: Module, rams: dict[str, RamPorts], chosen: Value, how: Transfer, name: str) -> Beats:
    """Words out of the first memory, or (`chosen`) out of the second; a word a cycle."""
    width = len(next(iter(rams.values())).read_data)
    beats = Beats(
        *(Signal(bits, name=f"{name}_{part}") for bits, part in ((width, "payload"), (1, "valid"), (1, "ready")))
    )
    fetch = Signal(name=f"{name}_fetch")
    address, left = how.counters(m, fetch, name)
    ports = list(rams.values())
    for ram in ports:
        m.d.comb += [ram.read_enable.eq(fetch), ram.read_address.eq(address)]
    data = ports[0].read_data if len(ports) == 1 else Mux(chosen, ports[1].read_data, ports[0].read_data)
    m.d.comb += [
        fetch.eq((left != 0) & (~beats.valid | beats.ready)),
        beats.payload.eq(data),
        how.busy.eq((left != 0) | beats.valid),
    ]
    with m.If(fetch):
        m.d.sync += beats.valid.eq(1)
    with m.Elif(beats.ready):
        m.d.sync += beats.valid.eq(0)
    return beats


def write_map(m: Module, source: Beats, rams: dict[str, RamPorts], chosen: Value, how: Transfer, name: str) -> None:
    """Words into the first memory, or (`chosen`) into the second; a word a cycle."""
    write = Signal(name=f"{name}_write")
    address, left = how.counters(m, write, name)
    m.d.comb += [
        source.ready.eq(left != 0),
        write.eq(source.valid & (left != 0)),
        how.busy.eq(left != 0),
    ]
    for index, ram in enumerate(rams.values()):
        here = chosen if index else (~chosen if len(rams) > 1 else 1)
        m.d.comb += [
            ram.write_enable.eq(write & here),
            ram.write_address.eq(address),
            ram.write_data.eq(source.payload),
        ]
