"""A shared body as C++: a header of its own with its parts, its descriptors and what runs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from deepdive.backends.vitis.rom import Rom
from deepdive.backends.vitis.stages.code import (
    MEMORY_WORD,
    MEMORY_WORD_BYTES,
    Buffer,
    MemoryPort,
    StageCode,
    beat_type,
    emit,
    integers,
    node_of,
    printable,
)
from deepdive.backends.vitis.stages.shared_numbers import CONSTANTS, SharedNumbers, moved
from deepdive.backends.vitis.stages.shared_region import Process, Region, RegionFifo, Spec, beat
from deepdive.hardware.stages import SharedBody
from deepdive.hardware.stages.shared_block import padded
from deepdive.hardware.stream import Stream
from deepdive.qnet import FeatureMap, QNet

MEMBERS = (
    *("source", "factors", "target", "weights_at", "factors_route", "fork"),
    *("expand_route", "feed", "expand", "align", "align_past", "expand_select"),
    *("depthwise_route", "window", "depthwise", "depthwise_select"),
    *("pool_route", "pool", "pool_select", "factors_align", "scale_route", "scale", "scale_select"),
    *("project_route", "gather", "project", "pack", "pack_past", "project_select"),
    *("add_route", "add", "add_select"),
    *("expand_table", "depthwise_table", "project_table"),
)
"""Of ``deepdive::shared_block``."""

BETWEEN = ("between_even", "between_odd")
"""Memories on chip that blocks of an even and of an odd place write."""


@dataclass(frozen=True)
class BankMemory:
    """A memory on chip that holds one block's weights or scales."""

    element: str
    name: str
    depth: int
    count: int
    rows: str
    """C++: how many rows a block has."""


@dataclass(frozen=True)
class SharedCode:
    """What the header of a shared body says.

    Parameters
    ----------
    blocks
        A title and the initializers of each descriptor's members.
    places
        Of the map that comes in and of the one that goes out: initializers of ``map_place``.
    excited
        Whether some block reads factors.
    scales_first
        Whether the third block does, whose map is the one that came in.
    map_words
        Of the map memories on chip: what comes in, what lies between blocks, what goes out.
    """

    name: str
    word: str
    batch: int
    maps: str
    weights: str
    weight_buffers: int
    specs: tuple[Spec, ...]
    fifos: tuple[RegionFifo, ...]
    processes: tuple[Process, ...]
    end: str
    excited: bool
    blocks: tuple[tuple[str, list[str]], ...]
    bank: tuple[BankMemory, ...]
    roms: tuple[str, ...]
    tables: bool
    places: tuple[str, str]
    scales_first: bool
    map_words: tuple[int, int, int]

    @property
    def hops(self) -> list[tuple[str, str, str, str]]:
        """Maps on chip: a C++ condition, from which memory to which one a block then goes; the last has none.

        The last of each is where factors come from, behind the map that the block reads or, if that came in, alone.
        """
        last = len(self.blocks) - 1
        special = {0: "index == 0", **({2: "index == 2"} if self.scales_first else {}), last: "index == last"}
        found = [(special[index], *self.hop(index)) for index in sorted(special)]
        rest = [index for index in range(last) if index not in special]
        if any(index % 2 for index in rest):
            found.append(("index % 2 != 0", *self.hop(next(index for index in rest if index % 2))))
        if any(index % 2 == 0 for index in rest):
            found.append(("", *self.hop(next(index for index in rest if index % 2 == 0))))
        return found

    def hop(self, index: int) -> tuple[str, str, str]:
        """Maps on chip: what a block reads, what it writes, and where its factors lie."""
        before = BETWEEN[(index - 1) % 2] if index else "came"
        source = "came" if index == 2 and self.scales_first else before
        return source, "goes" if index == len(self.blocks) - 1 else BETWEEN[index % 2], before

    @property
    def between(self) -> tuple[str, ...]:
        """Maps on chip: memories between blocks."""
        return tuple(name for name in BETWEEN if any(name in hop for hop in self.hops))

    @property
    def map_memories(self) -> list[tuple[str, int]]:
        """Maps on chip: each memory and its words, two for what comes in and for what goes out."""
        came, between, goes = self.map_words
        inner = [(name, between) for name in self.between]
        return [("came_even", came), ("came_odd", came), *inner, ("goes_even", goes), ("goes_odd", goes)]

    @property
    def headers(self) -> tuple[str, ...]:
        """Stage templates that it uses."""
        used = {process.template for process in self.processes}
        more = {"load_words"} if self.weights == "external" else set()
        return tuple(sorted({*used, *more, "map_memory", "relabel", "repack", "shared_block"}))


@emit.register
def _(stage: SharedBody, net: QNet) -> StageCode:
    numbers = SharedNumbers(stage, net)
    region = Region(stage, numbers)
    word = beat(stage.folding.memory_lanes)
    on_chip = stage.weights == "on_chip"
    code = SharedCode(
        name=stage.name,
        word=word,
        batch=stage.batch,
        maps=stage.maps,
        weights=stage.weights,
        weight_buffers=stage.weight_buffers,
        specs=(*region.specs, *ends(stage, net)),
        fifos=tuple(region.fifos),
        processes=tuple(region.processes),
        end=region.end,
        excited=region.excited,
        blocks=tuple(
            (" ".join(printable(node) for node in block.nodes), descriptor(numbers.descriptor(index)))
            for index, block in enumerate(stage.blocks)
        ),
        bank=() if on_chip else bank(numbers),
        roms=tuple(f"{stage.name}_{name}" for name in numbers.roms) if on_chip else (),
        tables=bool(numbers.tables),
        places=(literal(numbers.place(0)), literal(numbers.place(len(stage.blocks)))),
        scales_first=len(stage.blocks) > 2 and stage.blocks[2].scale is not None,
        map_words=map_words(stage),
    )
    ports: list[MemoryPort] = []
    if stage.maps == "external":
        maps = Buffer(f"{stage.name}_maps", word, stage.folding.memory_lanes, stage.map_places[-1])
        for port, bundle, const in (
            ("maps_read", "maps", True),
            ("maps_write", "maps", False),
            ("ends_write", "ends", False),
            ("ends_read", "ends", True),
        ):
            ports.append(MemoryPort(f"{stage.name}_{port}", f"{stage.name}_{bundle}", maps, const=const))
    if stage.weights == "external":
        image = np.concatenate(numbers.images)
        weights = Buffer(stage.name, MEMORY_WORD, MEMORY_WORD_BYTES, len(image), image)
        ports.append(MemoryPort(f"{stage.name}_weights", f"{stage.name}_weights", weights))
    return StageCode(
        template="",
        name=stage.name,
        beats=(),
        constants=(),
        streams=(stage.input.name, stage.output.name),
        roms=(
            *(Rom(f"{stage.name}_{name}", rows) for name, rows in (numbers.roms.items() if on_chip else ())),
            *(Rom(f"{stage.name}_{part}_tables", rows, "np") for part, rows in numbers.tables.items()),
        ),
        ports=tuple(ports),
        shared=code,
    )


def map_words(stage: SharedBody) -> tuple[int, int, int]:
    """Words of a batch on chip: of what comes in, of what lies between blocks, of what goes out."""
    words = {memory.name: memory.depth for memory in stage.map_memories()}
    return words["came"], words.get("between", 0), words["goes"]


def bank(numbers: SharedNumbers) -> tuple[BankMemory, ...]:
    """The memories on chip that one block's constants are loaded into, each as large as the largest block needs."""
    found = []
    for name in CONSTANTS:
        parts = [mine[name] for mine in numbers.packed if name in mine]
        if parts:
            part, what = name.split("_")
            element = "unsigned char" if what == "weights" else "deepdive::scale_word"
            rows = f"block.{part}.groups"
            if name == "depthwise_weights":
                rows += f" * block.{part}.turns"
            if part != "depthwise":
                rows = f"block.{part}.out_groups"
                how = getattr(numbers.body.folding, part)
                rows += f" * block.{part}.groups" if what == "weights" else f" * {how.out_parallel // how.lanes}"
            found.append(BankMemory(element, name, max(map(len, parts)), parts[0].shape[1], rows))
    return tuple(found)


def ends(stage: SharedBody, net: QNet) -> tuple[Spec, ...]:
    """The parts between the unit's streams and the maps' memory: relabel and repack, on the way in and out."""
    lanes, outer = stage.folding.memory_lanes, stage.folding.outer
    source = node_of(net, stage.blocks[0].nodes[0])[1][0]
    target = node_of(net, stage.blocks[-1].nodes[-1])[0].output
    took, gives = stage.input, stage.output
    stored = [padded(stream.channels, outer) for stream in (took, gives)]
    pixels = [stream.height * stream.width for stream in (took, gives)]
    return (
        relabel("take_codes", took, source, (("input", beat_type(took)), ("output", beat(took.lanes))), 1),
        repack("take_words", pixels[0], (took.lanes, lanes), (took.channels, stored[0])),
        repack("give_words", pixels[1], (lanes, gives.lanes), (stored[1], gives.channels)),
        relabel("give_codes", gives, target, (("input", beat(gives.lanes)), ("output", beat_type(gives))), -1),
    )


def relabel(name: str, stream: Stream, codes: FeatureMap, beats: tuple[tuple[str, str], ...], sign: int) -> Spec:
    """A relabel at one end."""
    return Spec(name, beats, integers(beats=stream.beats, offset=sign * moved(codes)))


def repack(name: str, pixels: int, lanes: tuple[int, int], channels: tuple[int, int]) -> Spec:
    """A repack at one end: in memory a pixel is padded to whole words."""
    reads, writes = (count // min(lanes) for count in channels)
    beats = (("input", beat(lanes[0])), ("output", beat(lanes[1])))
    return Spec(name, beats, integers(pixels=pixels, reads=reads, writes=writes))


def descriptor(found: dict[str, Any]) -> list[str]:
    """The initializers of one block's members, in the order of ``deepdive/shared_block.h``; those missing are zero."""
    return [literal(found.get(name, {})) for name in MEMBERS]


def literal(value: object) -> str:
    """A C++ initializer."""
    if isinstance(value, dict):
        return f"{{{', '.join(literal(one) for one in value.values())}}}"
    if isinstance(value, tuple):
        return f"{{{', '.join(literal(one) for one in value)}}}"
    return str(value).lower() if isinstance(value, bool) else str(value)
