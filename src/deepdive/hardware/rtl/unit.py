"""A compute unit in RTL: its stages, and a FIFO behind every stage output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from deepdive.hardware.rtl.build import stage_component
from deepdive.hardware.rtl.component import connect
from deepdive.hardware.rtl.fifo import StreamFifo
from deepdive.hardware.rtl.mac_column import MacShape
from deepdive.hardware.rtl.memories import RomImage
from deepdive.hardware.rtl.memory_ports import ExternalMemory, external_memories, memory_members
from deepdive.hardware.stream import Stream
from deepdive.hardware.units import Unit
from deepdive.qnet import QNet


class UnitComponent(wiring.Component):
    """One stream in, one out, and the memory ports of stages.

    The FIFO of the unit's input belongs to whoever writes it.

    Inside, every stream `s` that a stage writes has signals ``s_payload``, ``s_valid``, ``s_ready`` at the FIFO's input
    and ``s_read_valid``, ``s_read_ready`` at its output, for those who simulate. `pauses` are clock cycles that windows
    wait for the next frame, by name of the stage.
    """

    def __init__(self, unit: Unit, net: QNet, pauses: Mapping[str, int]) -> None:
        members = {"input": In(beat(unit.input)), "output": Out(beat(unit.output))}
        for stage in unit.stages:
            members |= memory_members(stage)
        super().__init__(members)
        self.unit = unit
        self.stages = {stage.name: stage_component(stage, net, pauses.get(stage.name, 0)) for stage in unit.stages}

    @property
    def roms(self) -> list[RomImage]:
        """The images of all stages."""
        return [image for component in self.stages.values() for image in component.roms]

    @property
    def columns(self) -> set[MacShape]:
        """The multiplier columns that the stages instantiate; equal ones share a module."""
        return {shape for component in self.stages.values() for shape in component.columns}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        readable: dict[str, Any] = {self.unit.input.name: self.input}
        for stage in self.unit.stages:
            m.submodules[stage.name] = component = self.stages[stage.name]
            for index, source in enumerate(stage.inputs):
                connect(m, readable[source.name], getattr(component, f"input{index}"))
            for index, target in enumerate(stage.outputs):
                written = getattr(component, f"output{index}")
                readable[target.name] = self._fifo(m, target, written)
        connect(m, readable[self.unit.output.name], self.output)
        for stage in self.unit.stages:
            for name, member in memory_members(stage).items():
                outside, inside = getattr(self, name), getattr(self.stages[stage.name], name)
                m.d.comb += inside.eq(outside) if member.flow == In else outside.eq(inside)
        return m

    def _fifo(self, m: Module, target: Stream, written: Any) -> Any:
        """The FIFO of a stream, its signals named after the stream."""
        m.submodules[f"{target.name}_fifo"] = fifo = StreamFifo(target.beat_bits, target.depth, ultra=target.ultra)
        payload = Signal(target.beat_bits, name=f"{target.name}_payload")
        flags = ("valid", "ready", "read_valid", "read_ready")
        valid, ready, read_valid, read_ready = (Signal(name=f"{target.name}_{flag}") for flag in flags)
        m.d.comb += [
            payload.eq(written.payload),
            valid.eq(written.valid),
            fifo.input.payload.eq(payload),
            fifo.input.valid.eq(valid),
            ready.eq(fifo.input.ready),
            written.ready.eq(ready),
            read_valid.eq(fifo.output.valid),
            read_ready.eq(fifo.output.ready),
        ]
        return fifo.output


def unit_memories(unit: Unit) -> tuple[ExternalMemory, ...]:
    """The regions of external memory that the stages work on."""
    return tuple(memory for stage in unit.stages for memory in external_memories(stage))


def beat(of: Stream) -> stream.Signature:
    """The signature of a stream of beats."""
    return stream.Signature(unsigned(of.beat_bits))
