"""The whole accelerator in RTL: units in a row, AXI-Stream at both ends, status registers."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, ResetSignal, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from deepdive.hardware.rtl.counters import counter, next_in
from deepdive.hardware.rtl.fifo import StreamFifo
from deepdive.hardware.rtl.status import AXI_LITE_READ, AXI_LITE_WRITE, RegisterMap, StatusComponent
from deepdive.hardware.rtl.unit import unit_memories
from deepdive.hardware.stream import Stream
from deepdive.hardware.units import Unit

BYTE = 8


def master_port(name: str) -> str:
    """Name of the accelerator's port for a unit's memory port."""
    return f"m_axi_{name}"


def register_map(units: Sequence[Unit]) -> RegisterMap:
    """The status registers of an accelerator of these units."""
    memories = [memory for unit in units for memory in unit_memories(unit)]
    return RegisterMap(
        streams=(units[0].input.name, *(unit.output.name for unit in units)),
        bases=tuple(memory.base for memory in memories),
        masters=tuple(master for memory in memories for master in memory.masters),
    )


class AcceleratorComponent(wiring.Component):
    """Top of an RTL design; the units are instances of modules of their names.

    ``s_axis_*`` takes a frame pixel by pixel, channels innermost, `input.lanes` channels a beat, one byte a code;
    ``m_axis_*`` gives the output likewise (signed codes sign-extended), `tlast` with a frame's last beat. Frames may
    follow each other without a pause; their length is fixed, so the input's `tlast` is not looked at. ``s_axi_*`` is
    AXI-Lite: see `StatusComponent`. ``m_axi_<stage>_weights_*`` and, of shared stages, ``m_axi_<stage>_blocks_*`` and
    ``m_axi_<stage>_ends_*`` are AXI4 masters; status registers say where their regions begin.
    """

    def __init__(self, units: Sequence[Unit], fingerprint: str) -> None:
        self.units = tuple(units)
        self.source, self.result = units[0].input, units[-1].output
        members = {
            "s_axis_tdata": In(BYTE * self.source.lanes),
            "s_axis_tvalid": In(1),
            "s_axis_tready": Out(1),
            "s_axis_tlast": In(1),
            "m_axis_tdata": Out(BYTE * self.result.lanes),
            "m_axis_tvalid": Out(1),
            "m_axis_tready": In(1),
            "m_axis_tlast": Out(1),
        }
        self.memories = tuple(memory for unit in units for memory in unit_memories(unit))
        for memory in self.memories:
            members |= {
                master_port(name): member for name, member in memory.members().items() if name not in memory.inner
            }
        lite = {f"s_axi_{name}": member for name, member in {**AXI_LITE_READ, **AXI_LITE_WRITE}.items()}
        super().__init__({**members, **lite})
        self.status = StatusComponent(fingerprint, register_map(units))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.input_fifo = entry = StreamFifo(self.source.beat_bits, self.source.depth)
        m.d.comb += [
            entry.input.payload.eq(Cat(self._lanes(self.s_axis_tdata, self.source, BYTE))),
            entry.input.valid.eq(self.s_axis_tvalid),
            self.s_axis_tready.eq(entry.input.ready),
        ]
        payload, valid, ready = self._signals(self.source)
        m.d.comb += [
            payload.eq(entry.output.payload),
            valid.eq(entry.output.valid),
            entry.output.ready.eq(ready),
        ]
        watched = [(valid, ready)]
        for unit in self.units:
            after = self._signals(unit.output)
            m.submodules[unit.name] = Instance(
                unit.name,
                i_clk=ClockSignal(),
                i_rst=ResetSignal(),
                i_input__payload=payload,
                i_input__valid=valid,
                o_input__ready=ready,
                o_output__payload=after[0],
                o_output__valid=after[1],
                i_output__ready=after[2],
                **self._memories(m, unit),
            )
            payload, valid, ready = after
            watched.append((valid, ready))
        m.d.comb += [
            self.m_axis_tdata.eq(Cat(self._bytes(payload))),
            self.m_axis_tvalid.eq(valid),
            ready.eq(self.m_axis_tready),
        ]
        self._status(m, self._last(m, valid & ready), watched)
        return m

    def _memories(self, m: Module, unit: Unit) -> dict[str, Value]:
        """Connections of a unit's memory ports, where their regions begin, and who failed."""
        connections: dict[str, Value] = {}
        for memory in unit_memories(unit):
            connections[f"i_{memory.base}"] = self.status.base(memory.base)
            for master, ports in memory.failures.items():
                failed = [Signal(2, name=port) for port in ports]
                connections |= {f"o_{signal.name}": signal for signal in failed}
                m.d.comb += self.status.failed(master).eq(Cat(failed))
            for name, member in memory.members().items():
                if name not in memory.inner:
                    connections[f"{'i' if member.flow == In else 'o'}_{name}"] = getattr(self, master_port(name))
        return connections

    def _signals(self, stream: Stream) -> tuple[Signal, Signal, Signal]:
        """Payload, valid and ready of a stream between units, named after it."""
        return (
            Signal(stream.beat_bits, name=f"{stream.name}_payload"),
            Signal(name=f"{stream.name}_valid"),
            Signal(name=f"{stream.name}_ready"),
        )

    def _lanes(self, beat: Value, stream: Stream, spacing: int) -> list[Value]:
        """The code of each lane."""
        return [beat[lane * spacing : lane * spacing + stream.bits] for lane in range(stream.lanes)]

    def _bytes(self, beat: Value) -> list[Value]:
        """The code of each lane as a byte."""
        unused = BYTE - self.result.bits
        codes = self._lanes(beat, self.result, self.result.bits)
        if self.result.signed:
            return [Cat(code, code[-1].replicate(unused)) for code in codes]
        return [Cat(code, Const(0, unused)) for code in codes]

    def _last(self, m: Module, moved: Value) -> Value:
        """Mark the last beat of a frame; returns whether it leaves now."""
        beats = self.result.beats
        beat = counter(beats, "beat")
        with m.If(moved):
            m.d.sync += beat.eq(next_in(beat, beats))
        m.d.comb += self.m_axis_tlast.eq(beat == beats - 1)
        return moved & self.m_axis_tlast

    def _status(self, m: Module, done: Value, watched: Sequence[tuple[Signal, Signal]]) -> None:
        m.submodules.status = status = self.status
        m.d.comb += [
            status.frame_done.eq(done),
            status.valid.eq(Cat(valid for valid, _ in watched)),
            status.ready.eq(Cat(ready for _, ready in watched)),
        ]
        for name, member in {**AXI_LITE_READ, **AXI_LITE_WRITE}.items():
            outside, inside = getattr(self, f"s_axi_{name}"), getattr(status, name)
            m.d.comb += inside.eq(outside) if member.flow == In else outside.eq(inside)
