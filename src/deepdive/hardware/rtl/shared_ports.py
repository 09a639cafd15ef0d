"""The memory ports of a shared unit, from its contract: what stage, unit and accelerator hand through."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.lib.wiring import In, Member

from deepdive.hardware.rtl.axi import ADDRESS_BITS, read_members, write_members
from deepdive.hardware.stages import SharedBody, Stage
from deepdive.hardware.stages.shared_body import MEMORY_WORD_BYTES

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
    """Of a shared body whose weights or maps are not on chip; of others none."""
    if not isinstance(stage, SharedBody):
        return ()
    found = []
    if stage.weights == "external":
        words = sum(stage.weight_words(block) for block in stage.blocks)
        name = f"{stage.name}_weights"
        found.append(ExternalMemory(name, (name,), False, MEMORY_WORD_BYTES, words))
    if stage.maps == "external":
        masters = (f"{stage.name}_blocks", f"{stage.name}_ends")
        name = f"{stage.name}_maps"
        found.append(ExternalMemory(name, masters, True, stage.folding.memory_lanes, map_places(stage)[-1]))
    return tuple(found)


def map_places(stage: SharedBody) -> list[int]:
    """Words at which the maps begin: two slots for what comes in, one a map between blocks, two for what goes out.

    The last entry is the size of all. As the C++ has it.
    """
    words = [stage.batch * stage.words(block.shape) for block in stage.blocks]
    words.append(stage.batch * stage.words(stage.blocks[-1].output))
    words[0] *= 2
    words[-1] *= 2
    return [sum(words[:index]) for index in range(len(words) + 1)]
