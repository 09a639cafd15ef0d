"""A compute unit as C++: what the templates of its files ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from deepdive.backends.vitis.rom import Rom
from deepdive.backends.vitis.stages import Buffer, MemoryPort, StageCode, beat_type, printable, stage_code
from deepdive.hardware.stages import AnyStage
from deepdive.hardware.units import Unit
from deepdive.qnet import QNet

EXTERNAL_FIFO_BEATS = 32
"""Weight words between the memory port and the multipliers: they bridge the gap between two bursts."""


@dataclass(frozen=True, eq=False)
class Fifo:
    """A stream inside a unit; with `ultra` in UltraRAM."""

    name: str
    type: str
    depth: int
    ultra: bool = False


@dataclass(frozen=True, eq=False)
class StoredRom(Rom):
    """A ROM and the primitive that holds it."""

    storage: Literal["bram", "lutram"] = "lutram"


@dataclass(frozen=True, eq=False)
class UnitCode:
    """One unit; all texts are safe to stand in C++ as they are."""

    name: str
    title: str
    blocks: tuple[str, ...]
    input: str
    output: str
    input_codes: int
    input_depth: int
    output_name: str
    output_beats: int
    output_depth: int
    stages: tuple[StageCode, ...]
    roms: tuple[StoredRom, ...]
    fifos: tuple[Fifo, ...]
    ends: dict[str, str]

    @property
    def headers(self) -> list[str]:
        """Stage templates that the unit uses."""
        return sorted({stage.template for stage in self.stages if not stage.shared})

    @property
    def shared(self) -> list[StageCode]:
        """Stages with a header of their own."""
        return [stage for stage in self.stages if stage.shared]

    @property
    def ports(self) -> tuple[MemoryPort, ...]:
        """Pointers to external memory, in the order of the unit's parameters."""
        return tuple(port for stage in self.stages for port in stage.ports)

    @property
    def buffers(self) -> list[Buffer]:
        """External memories, each once."""
        return list({port.buffer.name: port.buffer for port in self.ports}.values())

    @property
    def images(self) -> list[Buffer]:
        """External memories that hold weights from the beginning."""
        return [buffer for buffer in self.buffers if buffer.image is not None]

    def arguments(self, stage: StageCode, *, bounded: bool = False) -> list[str]:
        """Arguments of a stage's call; with `bounded` the streams are members and its unit's ends pointers."""
        end, inner = ("*", "fifos->") if bounded else ("", "")
        streams = [end + self.ends[name] if name in self.ends else inner + fifo_name(name) for name in stage.streams]
        if stage.shared:
            return [*streams, *(port.name for port in stage.ports), "frames"]
        words = [f"{inner}{stage.name}_words"] if stage.external else []
        return [*streams, *words, *(rom.name for rom in stage.roms), "frames"]


def unit_code(unit: Unit, net: QNet) -> UnitCode:
    """The C++ of a unit; its numbers come from the network."""
    stages = tuple(stage_code(stage, net) for stage in unit.stages)
    roms = tuple(
        StoredRom(rom.name, rom.words, rom.ports, storage(stage, rom.name.removeprefix(f"{stage.name}_")))
        for stage, code in zip(unit.stages, stages, strict=True)
        for rom in code.roms
    )
    inner = [stream for stream in unit.streams if stream != unit.output]
    fifos = [Fifo(fifo_name(stream.name), beat_type(stream), stream.depth, stream.ultra) for stream in inner]
    for code in stages:
        if code.external:
            word = f"deepdive::beat<unsigned char, {code.external.bytes.shape[1]}>"
            fifos.append(Fifo(f"{code.name}_words", word, EXTERNAL_FIFO_BEATS))
    return UnitCode(
        name=unit.name,
        title=f"Compute unit {unit.name} ({unit.kind}).",
        blocks=tuple(printable(block) for block in unit.blocks),
        input=beat_type(unit.input),
        output=beat_type(unit.output),
        input_codes=unit.input.height * unit.input.width * unit.input.channels,
        input_depth=unit.input.depth,
        output_name=fifo_name(unit.output.name),
        output_beats=unit.output.beats,
        output_depth=unit.output.depth,
        stages=stages,
        roms=roms,
        fifos=tuple(fifos),
        ends={unit.input.name: "input", unit.output.name: "output"},
    )


def storage(stage: AnyStage, memory: str) -> Literal["bram", "lutram"]:
    """Where the stage's contract puts one of its memories; what it does not count as a memory is wiring: LUTs."""
    found = next((m for m in stage.memories if m.name == memory), None)
    return "bram" if found and found.style == "block" else "lutram"


def fifo_name(stream: str) -> str:
    """C++ name of a stream: a suffix, so that no stream is called like a keyword or a parameter."""
    return f"{stream}_stream"
