"""Shared body: several blocks of the network one after the other on one set of multipliers."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from deepdive.hardware.memory import Memory, total
from deepdive.hardware.resources import Resources
from deepdive.hardware.stages.dense import Dense
from deepdive.hardware.stages.depthwise import Depthwise
from deepdive.hardware.stages.external import MEMORY_WORD_BYTES, PORT
from deepdive.hardware.stages.shared_block import SharedBlock, SharedFolding, padded
from deepdive.hardware.stages.shared_chain import (
    CODE_BITS,
    Common,
    block_chain,
    chain_cycles,
    common,
    fifos,
    tables_behind,
)
from deepdive.hardware.stages.stage import Pipe, Stage, without_memories
from deepdive.hardware.stages.table import Table

START_CYCLES = 30
"""Clock cycles between two blocks: all processes of the region are done, the next descriptor is read, they start."""

MEMORY_CYCLES = 150
"""Clock cycles that a block waits for external memory besides: the first word of a burst, the response to the last one
(some 100 and 50 at 200-250 MHz on the HP ports of a Zynq UltraScale+; an estimate)."""

SCALE_BITS = 64
"""Bias, mult and shift of a channel; as in ``deepdive/requantize.h``."""

MULT_BITS, DROP_BITS = 16, 6
"""What of them is no bias."""

MAPS = ("came", "between", "goes")
"""Memories of maps that rest on chip."""

CONTROL = Resources(lut=20, ff=200)
"""Counters of one part with limits that change from block to block, and its share of the descriptor; fitted."""


class SharedBody(Pipe):
    """Blocks in time multiplex: the pointwise, window and depthwise hardware of one block runs all of them in turn.

    A block is [expand] [depthwise] [scale] [project] [residual add], each part there or not; see `SharedBlock`. Its map
    comes out of the maps' memory, flows through all parts at once as in a streamed body, and goes back; the map that a
    residual add needs waits in a FIFO. `batch` frames flow through a block back to back, so that its pipeline fills
    once for all of them.

    Time runs in phases. In each of them the stage takes batch p from its input stream into memory, runs all blocks on
    batch p - 1, and gives batch p - 2 to its output stream, all at the same time. While a block runs, the weights of
    the next one are loaded into the other half of the weight memory, unless all weights lie on chip. With one buffer
    they are loaded before the block runs: the larger the batch, the less that costs.

    Parameters
    ----------
    maps
        Where feature maps lie between blocks: ``external``, read and written in bursts; or ``on_chip``.
    weights
        ``external``: `weight_buffers` memories on chip, each as large as the largest block. ``on_chip``: a ROM of all
        blocks.
    port_cycles
        Clock cycles in which the memory's port brings a word of weights: 2 where it has 64 bits.
    batch
        Frames that pass a block together.
    """

    kind: Literal["shared_body"] = "shared_body"
    folding: SharedFolding
    blocks: tuple[SharedBlock, ...] = Field(min_length=1)
    maps: Literal["external", "on_chip"] = "external"
    weights: Literal["external", "on_chip"] = "external"
    weight_buffers: Literal[1, 2] = 2
    port_cycles: int = Field(default=1, ge=1)
    batch: int = Field(default=1, ge=1, le=64)

    @model_validator(mode="after")
    def _chain(self) -> SharedBody:
        for index, after in enumerate(self.blocks):
            before = self.blocks[index - 1]
            if after.scale:
                self._excited(index)
            elif index and before.output != after.shape:
                raise ValueError(
                    f"stage '{self.name}': '{after.nodes[0]}' reads a map {after.shape}, and '{before.nodes[-1]}' "
                    f"before it writes {before.output}"
                )
        ends = (self.input.shape, self.output.shape)
        if ends != (self.blocks[0].shape, self.blocks[-1].output) or self.input.taps * self.output.taps != 1:
            raise ValueError(f"stage '{self.name}': its streams {ends} are not those of its first and last block")
        lanes = self.folding.memory_lanes
        for stream in (self.input, self.output):
            if lanes % stream.lanes and stream.lanes % lanes:
                raise ValueError(f"stage '{self.name}': {stream.lanes} lanes do not fit words of {lanes} codes")
        if self.maps == "external" and lanes & (lanes - 1):
            raise ValueError(f"stage '{self.name}': a memory port has no words of {lanes} bytes; take a power of two")
        for block in self.blocks:
            self.chain(block)
        return self

    def _excited(self, index: int) -> None:
        """A block that scales stands behind the one that pools the same map and the one that makes factors of means."""
        block, name = self.blocks[index], f"stage '{self.name}': '{self.blocks[index].nodes[0]}'"
        if index < 2 or not (pools := self.blocks[index - 2]).pool:
            raise ValueError(f"{name} is scaled, and the block before the last one does not pool")
        if (pools.shape, pools.expand, pools.depthwise) != (block.shape, block.expand, block.depthwise):
            raise ValueError(f"{name} is not computed as in the block that pools it")
        if self.blocks[index - 1].output != (1, 1, block.middle):
            raise ValueError(f"{name} has {block.middle} channels, and factors {self.blocks[index - 1].output}")

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(node for block in self.blocks for node in block.nodes))

    @property
    def shared(self) -> Common:
        """What all blocks have in common."""
        return common(self.blocks, self.folding.dsp_bits, self.batch, cascade=self.folding.cascade)

    def map_shape(self, index: int) -> tuple[int, int, int]:
        """(height, width, channels) of map `index`: the one that comes in, or that block `index - 1` writes."""
        return self.blocks[index - 1].output if index else self.blocks[0].shape

    def map_read(self, index: int) -> int:
        """Which of the maps a block reads: what the one before it wrote, or what the first of the three read."""
        return index - 2 if self.blocks[index].scale else index

    @property
    def map_places(self) -> list[int]:
        """Words at which the maps begin in external memory; the last entry is the size of all.

        Two slots for what comes in, one a map between blocks, two for what goes out.
        """
        words = [self.batch * self.words(self.map_shape(index)) for index in range(len(self.blocks) + 1)]
        words[0] *= 2
        words[-1] *= 2
        return [sum(words[:index]) for index in range(len(words) + 1)]

    def inner_words(self, index: int) -> tuple[int, int]:
        """Where map `index`, one between blocks, begins and ends in its memory on chip, in words.

        Blocks read and write two memories in turn. Factors lie in the one that the map they scale lies in, behind it.
        """
        scaled = index < len(self.blocks) and self.blocks[index].scale and index > 2
        at = self.inner_words(index - 2)[1] if scaled else 0
        return at, at + self.batch * self.words(self.map_shape(index))

    def chain(self, block: SharedBlock) -> tuple[Stage, ...]:
        """The stages through which a block flows."""
        return block_chain(block, self.folding, self.shared)

    def words(self, shape: tuple[int, int, int]) -> int:
        """Words of the maps' memory that a map takes."""
        return shape[0] * shape[1] * padded(shape[2], self.folding.outer) // self.folding.memory_lanes

    def weight_words(self, block: SharedBlock) -> int:
        """Words of the weights' memory that a block takes; each on-chip word starts on one of them.

        A weight counts its bits; the C++ stores one of 3 bits in 4 and one of 5 to 7 in 8.
        """
        word = 8 * MEMORY_WORD_BYTES
        return sum(depth * math.ceil(width / word) for depth, width in self.constants(block).values())

    def block_cycles(self, block: SharedBlock) -> int:
        """Clock cycles of a block for one batch, weights loaded: fill, all frames, drain, start, memory latency."""
        memory = MEMORY_CYCLES * (2 if block.scale else 1) if self.maps == "external" else 0
        return chain_cycles(self.chain(block), self.batch) + START_CYCLES + memory

    def load_cycles(self, block: SharedBlock) -> int:
        """Clock cycles in which a block's weights come from external memory."""
        return self.weight_words(block) * self.port_cycles + MEMORY_CYCLES if self.weights == "external" else 0

    @property
    def schedule(self) -> tuple[int, ...]:
        """Clock cycles of each block for one batch.

        With two weight buffers it ends when the weights of the one after it are loaded, too; with one it begins with
        the loading of its own.
        """
        runs, loads = [self.block_cycles(block) for block in self.blocks], [self.load_cycles(b) for b in self.blocks]
        if self.weight_buffers == 1:
            return tuple(load + run for load, run in zip(loads, runs, strict=True))
        return tuple(max(run, load) for run, load in zip(runs, (*loads[1:], loads[0]), strict=True))

    @property
    def ends_cycles(self) -> tuple[int, int]:
        """Clock cycles in which one batch comes in, and in which one goes out."""
        memory = MEMORY_CYCLES if self.maps == "external" else 0
        sides = ((self.input, self.blocks[0].shape), (self.output, self.blocks[-1].output))
        load, unload = (self.batch * max(stream.beats, self.words(shape)) + memory for stream, shape in sides)
        return load, unload

    @property
    def phase_cycles(self) -> int:
        """Clock cycles of a phase, in which one batch passes."""
        return max(sum(self.schedule), *self.ends_cycles) + START_CYCLES

    @property
    def interval_cycles(self) -> int:
        return math.ceil(self.phase_cycles / self.batch)

    @property
    def fill_beats(self) -> int:
        """All of a frame: its last beat comes in before the first block runs."""
        return self.input.beats

    @property
    def drain_cycles(self) -> int:
        """The rest of its phase, and two more."""
        return 2 * self.phase_cycles

    @property
    def macs(self) -> int:
        return sum(block.macs for block in self.blocks)

    @property
    def multipliers(self) -> int:
        expand, project = self.folding.expand, self.folding.project
        taps = math.prod(self.shared.kernel)
        depthwise = min(self.folding.taps or taps, taps) * self.folding.middle_lanes if self.has_depthwise else 0
        scale = self.folding.middle_lanes if any(block.scale for block in self.blocks) else 0
        return depthwise + scale + sum(part.multipliers for part in (expand, project) if part)

    @property
    def has_cascades(self) -> bool:
        return self.folding.cascade

    @property
    def has_depthwise(self) -> bool:
        """Whether any block has a depthwise layer."""
        return any(block.depthwise for block in self.blocks)

    @property
    def weight_bits_total(self) -> int:
        """As many as are stored: zeros that fill up channels and filters, too."""
        found = (self.constants(block).items() for block in self.blocks)
        return sum(depth * width for one in found for name, (depth, width) in one if name.endswith("_weights"))

    @property
    def external_bytes(self) -> int:
        """Each block reads its map and writes the next; the first one is written, the last one read at the ends.

        Weights come once a batch.
        """
        lanes = self.folding.memory_lanes
        passed = sum(self.words(block.shape) + self.words(block.output) for block in self.blocks)
        passed += sum(self.words((1, 1, block.middle)) for block in self.blocks if block.scale)
        passed += self.words(self.blocks[0].shape) + self.words(self.blocks[-1].output)
        weights = MEMORY_WORD_BYTES * sum(self.weight_words(block) for block in self.blocks)
        return (passed * lanes if self.maps == "external" else 0) + (
            math.ceil(weights / self.batch) if self.weights == "external" else 0
        )

    @property
    def memory_ports(self) -> int:
        """AXI masters: one reads and writes maps for the blocks, one for the ends, one reads weights."""
        return (2 if self.maps == "external" else 0) + (1 if self.weights == "external" else 0)

    def constants(self, block: SharedBlock) -> dict[str, tuple[int, int]]:
        """Depth and width in bits of what a block's parts read: weights and scales, by part."""
        found: dict[str, tuple[int, int]] = {}
        for stage in self.chain(block):
            if isinstance(stage, Dense | Depthwise):
                weights = next(memory for memory in stage.memories if memory.name == "weights")
                found[f"{stage.name}_weights"] = weights.depth, weights.width
                found[f"{stage.name}_scales"] = stage.output.groups, stage.output.lanes * SCALE_BITS
        return found

    @property
    def memories(self) -> tuple[Memory, ...]:
        """Weights and scales, lines and pixels of the largest block, maps that rest on chip."""
        found: dict[str, Memory] = {}
        for block in self.blocks:
            for name, (depth, width) in self.constants(block).items():
                before = found[name].depth if name in found else 0
                if self.weights == "on_chip":
                    if block.repeats(name.split("_")[0]):
                        continue
                    found[name] = Memory(name=name, depth=before + depth, width=width, read_only=True)
                else:
                    found[name] = Memory(name=name, depth=max(before, depth), width=width, banks=self.weight_buffers)
            for stage in self.chain(block):
                for memory in stage.memories:
                    if memory.name in ("weights", "scales") or isinstance(stage, Table):
                        continue
                    name = f"{stage.name}_{memory.name}"
                    before = found[name].depth if name in found else 0
                    found[name] = memory.model_copy(update={"name": name, "depth": max(before, memory.depth)})
        tables = self.table_memories()
        return (*found.values(), *tables, *(self.map_memories() if self.maps == "on_chip" else ()))

    @property
    def rtl_memories(self) -> tuple[Memory, ...]:
        """Both buffers, or halves, in one memory, one behind the other, in the primitive of one; scales as narrow as
        accumulators allow. C++ needs an array for each, and has scales in words of 64 bits."""
        return tuple(self._in_rtl(memory) for memory in self.memories)

    def _in_rtl(self, memory: Memory) -> Memory:
        part, _, what = memory.name.partition("_")
        width, depth = memory.width, memory.depth * memory.banks
        if what == "scales":
            width = memory.width // SCALE_BITS * (MULT_BITS + DROP_BITS + self._acc_bits(part))
        elif what != "weights" and memory.name not in MAPS:
            return memory
        return memory.model_copy(update={"width": width, "depth": depth, "banks": 1, "storage": memory.style})

    def _acc_bits(self, part: str) -> int:
        """Of the widest accumulator of a part."""
        layers = (stage for block in self.blocks for stage in self.chain(block) if stage.name == part)
        return max(stage.requantizer.acc_bits for stage in layers if isinstance(stage, Dense | Depthwise))

    def table_memories(self) -> tuple[Memory, ...]:
        """All blocks' tables behind each part, on chip."""
        lanes = {"depthwise": self.folding.middle_lanes}
        lanes |= {n: how.lanes for n in ("expand", "project") if (how := getattr(self.folding, n))}
        return tuple(table_memory(part, lanes[part], len(self.tables(part))) for part in self.shared.tables)

    def tables(self, part: str) -> tuple[str | None, ...]:
        """The tables behind a part as they lie in its memory, each once; None is the one of layers without."""
        return tables_behind(self.blocks, part)

    def map_memories(self) -> tuple[Memory, ...]:
        """Two of each: a batch that comes in, one between blocks, one that goes out."""
        inner = max((self.inner_words(index)[1] for index in range(1, len(self.blocks))), default=0)
        came, goes = (self.batch * self.words(stream.shape) for stream in (self.input, self.output))
        width = self.folding.memory_lanes * CODE_BITS
        depths = dict(zip(MAPS, (came, inner, goes), strict=True))
        return tuple(Memory(name=name, depth=depth, width=width, banks=2) for name, depth in depths.items() if depth)

    def resources(self) -> Resources:
        """Each part as large as the block that needs most of it, FIFOs, memories, ports, descriptors and their use.

        A part's loops count to what a descriptor says instead of to constants: a comparator of 16 bits a counter and a
        register of the same size, about `CONTROL` a part.
        """
        parts: dict[str, Resources] = {}
        for block in self.blocks:
            chain = self.chain(block)
            for stage in chain:
                parts[stage.name] = largest(parts.get(stage.name), without_memories(stage))
            for stream in fifos(chain):
                fifo = f"fifo {stream.name}"
                parts[fifo] = largest(parts.get(fifo), stream.resources)
        fixed = [PORT] * (self.memory_ports + (self.maps == "external") * 2)
        control = [CONTROL] * (2 + len({name for name in parts if " " not in name}))
        return Resources.total((*parts.values(), *fixed, *control)) + total(self.memories)


def table_memory(part: str, lanes: int, tables: int) -> Memory:
    """Tables of 256 codes each, a copy a lane: each has an address of its own."""
    return Memory(
        name=f"{part}_tables",
        depth=256 * tables,
        width=CODE_BITS,
        banks=lanes,
        read_only=True,
        storage="block",
    )


def largest(a: Resources | None, b: Resources) -> Resources:
    """The more of each kind."""
    if a is None:
        return b
    return Resources(**{name: max(count, getattr(b, name)) for name, count in a.model_dump().items()})
