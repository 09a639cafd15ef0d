"""The memory ports of a stage, from its contract: what stage, unit and accelerator hand through."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.lib.wiring import In, Member

from deepdive.hardware.rtl.axi import ADDRESS_BITS, read_members, write_members
from deepdive.hardware.stages import Dense, SharedBody, Stage
from deepdive.hardware.stages.external import MEMORY_WORD_BYTES, ExternalWords

BYTE = 8


@dataclass(frozen=True)
class ExternalMemory:
    """A region of external memory that a stage works on.

    Parameters
    ----------
    name
        ``<stage>_weights`` or ``<stage>_maps``; of the file that holds what lies there in the beginning, too.
    masters
        Names of the AXI masters that reach it; those that write if `writes`.
    word_bytes, words
        Of a beat; in all.
    """

    name: str
    masters: tuple[str, ...]
    writes: bool
    word_bytes: int
    words: int

    @property
    def base(self) -> str:
        """The port that takes the byte address where it begins, a multiple of 4096."""
        return f"{self.name}_base"

    @property
    def failures(self) -> dict[str, tuple[str, ...]]:
        """The ports that tell of error responses, by master: of words read, and of bursts written."""
        channels = ("r", "b") if self.writes else ("r",)
        return {master: tuple(f"{master}_{channel}failed" for channel in channels) for master in self.masters}

    @property
    def inner(self) -> set[str]:
        """Ports that are not the memory's: where it begins, and who failed."""
        return {self.base, *(port for ports in self.failures.values() for port in ports)}

    def members(self) -> dict[str, Member]:
        """All ports."""
        found: dict[str, Member] = {self.base: In(ADDRESS_BITS)}
        for master in self.masters:
            found |= read_members(master, BYTE * self.word_bytes)
            found |= write_members(master, BYTE * self.word_bytes) if self.writes else {}
        return found


def external_memories(stage: Stage) -> tuple[ExternalMemory, ...]:
    """Of a dense stage whose weights, of a shared body whose weights or maps are not on chip; of others none."""
    if isinstance(stage, Dense) and stage.weights == "external":
        return (weight_memory(stage, ExternalWords(stage.weight_steps, stage.weight_word_bits).words),)
    if not isinstance(stage, SharedBody):
        return ()
    found = []
    if stage.weights == "external":
        found.append(weight_memory(stage, sum(stage.weight_words(block) for block in stage.blocks)))
    if stage.maps == "external":
        masters = (f"{stage.name}_blocks", f"{stage.name}_ends")
        name = f"{stage.name}_maps"
        found.append(ExternalMemory(name, masters, True, stage.folding.memory_lanes, stage.map_places[-1]))
    return tuple(found)


def weight_memory(stage: Stage, words: int) -> ExternalMemory:
    """The region that a stage reads its weights from."""
    name = f"{stage.name}_weights"
    return ExternalMemory(name, (name,), False, MEMORY_WORD_BYTES, words)


def memory_members(stage: Stage) -> dict[str, Member]:
    """The ports of all of them."""
    return {name: member for one in external_memories(stage) for name, member in one.members().items()}
