"""AXI4 masters: words out of memory as a stream and a stream into memory, in bursts that cross no 4 KB boundary."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Member, Out

from deepdive.hardware.rtl.transfer import Beats, Transfer

PORT = "axi"
"""What the ports of a master inside a stage begin with."""

ADDRESS_BITS = 40
"""Bytes that the masters reach: those of the high-performance ports of a Zynq UltraScale+ (UG1085)."""
PAGE_BYTES = 4096
MOST_BEATS = 64
"""Of a burst. A burst ends where a multiple of its most beats begins, so it never crosses a page."""

SLAVE_ERROR, DECODE_ERROR = 2, 3
"""Responses of a memory that failed, and of none at that address."""

MOST_OPEN = 15
"""Bursts that are written and not yet answered."""


def read_members(prefix: str, data_bits: int) -> dict[str, Member]:
    """Ports of a master that reads; what does not change (INCR bursts of full words) is there all the same.

    ``rfailed`` is for the inside: high for a cycle after a word came with SLVERR (bit 0) or DECERR (bit 1).
    """
    return {
        f"{prefix}_rfailed": Out(2),
        f"{prefix}_araddr": Out(ADDRESS_BITS),
        f"{prefix}_arlen": Out(8),
        f"{prefix}_arsize": Out(3),
        f"{prefix}_arburst": Out(2),
        f"{prefix}_arvalid": Out(1),
        f"{prefix}_arready": In(1),
        f"{prefix}_rdata": In(data_bits),
        f"{prefix}_rresp": In(2),
        f"{prefix}_rlast": In(1),
        f"{prefix}_rvalid": In(1),
        f"{prefix}_rready": Out(1),
    }


def write_members(prefix: str, data_bits: int) -> dict[str, Member]:
    """Ports of a master that writes; ``bfailed`` is to answers of bursts what ``rfailed`` is to words."""
    return {
        f"{prefix}_bfailed": Out(2),
        f"{prefix}_awaddr": Out(ADDRESS_BITS),
        f"{prefix}_awlen": Out(8),
        f"{prefix}_awsize": Out(3),
        f"{prefix}_awburst": Out(2),
        f"{prefix}_awvalid": Out(1),
        f"{prefix}_awready": In(1),
        f"{prefix}_wdata": Out(data_bits),
        f"{prefix}_wstrb": Out(data_bits // 8),
        f"{prefix}_wlast": Out(1),
        f"{prefix}_wvalid": Out(1),
        f"{prefix}_wready": In(1),
        f"{prefix}_bresp": In(2),
        f"{prefix}_bvalid": In(1),
        f"{prefix}_bready": Out(1),
    }


def failing(m: Module, ports: Any, channel: str, taken: Value) -> None:
    """Tell of a response on channel ``<prefix>_r`` or ``<prefix>_b`` that is an error."""
    response, failed = getattr(ports, f"{channel}resp"), getattr(ports, f"{channel}failed")
    m.d.sync += failed.eq(Cat(taken & (response == error) for error in (SLAVE_ERROR, DECODE_ERROR)))


def hand_through(m: Module, outer: Any, master: str, inner: Any) -> None:
    """Connect the ports of `inner`, a master that reads, to those of `outer` for the master of that name."""
    for name, member in read_members(PORT, 8).items():
        one, other = getattr(outer, f"{master}{name.removeprefix(PORT)}"), getattr(inner, name)
        m.d.comb += other.eq(one) if member.flow == In else one.eq(other)


def burst_beats(word_bytes: int) -> int:
    """Most beats of a burst: a power of two."""
    return min(MOST_BEATS, PAGE_BYTES // word_bytes)


def ask(
    m: Module, ports: Any, prefix: str, channel: str, how: Transfer, base: Value, allowed: Value | None = None
) -> tuple[Signal, Signal]:
    """The address channel ``ar`` or ``aw``: (a burst is taken, bursts are left). `allowed` only falls when one is."""
    data = getattr(ports, f"{prefix}_{'r' if channel == 'ar' else 'w'}data")
    word_bytes = len(data) // 8
    most = burst_beats(word_bytes)
    taken, more = Signal(name=f"{prefix}_{channel}_taken"), Signal(name=f"{prefix}_{channel}_more")
    beats = Signal(range(most + 1), name=f"{prefix}_{channel}_beats")
    at, left = (
        Signal.like(how.at, name=f"{prefix}_{channel}_at"),
        Signal.like(how.words, name=f"{prefix}_{channel}_left"),
    )
    place = at[: most.bit_length() - 1] if most > 1 else C(0, 1)
    room = most - place
    port = {name: getattr(ports, f"{prefix}_{channel}{name}") for name in ("addr", "len", "size", "burst", "valid")}
    m.d.comb += [
        beats.eq(Mux(left < room, left, room)),
        more.eq(left != 0),
        taken.eq(port["valid"] & getattr(ports, f"{prefix}_{channel}ready")),
        port["valid"].eq(more if allowed is None else more & allowed),
        port["addr"].eq(base + Cat(C(0, (word_bytes - 1).bit_length()), at)),
        port["len"].eq(beats - 1),
        port["size"].eq((word_bytes - 1).bit_length()),
        port["burst"].eq(1),
    ]
    with m.If(how.begin):
        m.d.sync += [at.eq(how.at), left.eq(how.words)]
    with m.Elif(taken):
        m.d.sync += [at.eq(at + beats), left.eq(left - beats)]
    return taken, more


def read_memory(m: Module, ports: Any, prefix: str, base: Value, how: Transfer) -> Beats:
    """Words out of external memory; addresses run ahead of the data as far as the memory takes them."""
    ask(m, ports, prefix, "ar", how, base)
    data, valid, ready = (getattr(ports, f"{prefix}_r{name}") for name in ("data", "valid", "ready"))
    beats = Beats(*(Signal(bits, name=f"{prefix}_beat{i}") for i, bits in enumerate((len(data), 1, 1))))
    left = Signal.like(how.words, name=f"{prefix}_r_left")
    m.d.comb += [beats.payload.eq(data), beats.valid.eq(valid), ready.eq(beats.ready), how.busy.eq(left != 0)]
    failing(m, ports, f"{prefix}_r", valid & ready)
    with m.If(how.begin):
        m.d.sync += left.eq(how.words)
    with m.Elif(valid & ready):
        m.d.sync += left.eq(left - 1)
    return beats


def write_memory(m: Module, source: Beats, ports: Any, prefix: str, base: Value, how: Transfer) -> None:
    """Words into external memory; a burst's data follow its address, and it is busy until all of them are answered."""
    # Bursts whose address is taken and whose data are not; those that are not answered.
    owed, open_ = (Signal(range(MOST_OPEN + 1), name=f"{prefix}_{name}") for name in ("owed", "open"))
    taken, more = ask(m, ports, prefix, "aw", how, base, open_ != MOST_OPEN)
    data = getattr(ports, f"{prefix}_wdata")
    most = burst_beats(len(data) // 8)
    address, left = Signal.like(how.at, name=f"{prefix}_w_at"), Signal.like(how.words, name=f"{prefix}_w_left")
    valid, ready, last = (getattr(ports, f"{prefix}_w{name}") for name in ("valid", "ready", "last"))
    step, answered = Signal(name=f"{prefix}_w_step"), Signal(name=f"{prefix}_answered")
    page = most.bit_length() - 1
    m.d.comb += [
        data.eq(source.payload),
        getattr(ports, f"{prefix}_wstrb").eq(~0),
        last.eq((left == 1) | (address[:page] == most - 1 if page else C(1))),
        valid.eq(source.valid & (owed != 0)),
        source.ready.eq(ready & (owed != 0)),
        step.eq(valid & ready),
        getattr(ports, f"{prefix}_bready").eq(1),
        answered.eq(getattr(ports, f"{prefix}_bvalid")),
        how.busy.eq(more | (left != 0) | (open_ != 0)),
    ]
    failing(m, ports, f"{prefix}_b", answered)
    m.d.sync += [owed.eq(owed + taken - (step & last)), open_.eq(open_ + taken - answered)]
    with m.If(how.begin):
        m.d.sync += [address.eq(how.at), left.eq(how.words)]
    with m.Elif(step):
        m.d.sync += [address.eq(address + 1), left.eq(left - 1)]
