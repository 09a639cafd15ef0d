"""Shared body in RTL: takes batches of frames in, runs all blocks on them one after the other, gives them out."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value

from deepdive.hardware.memory import Memory
from deepdive.hardware.rtl.axi import hand_through, read_memory, write_memory
from deepdive.hardware.rtl.component import StageComponent, connect
from deepdive.hardware.rtl.counters import counter
from deepdive.hardware.rtl.limits import Limits
from deepdive.hardware.rtl.memories import RamPorts, RomImage, add_ram, address_bits, read_rom, rom_image
from deepdive.hardware.rtl.memory_ports import memory_members
from deepdive.hardware.rtl.shared_datapath import SharedDatapath
from deepdive.hardware.rtl.shared_maps import read_map, write_map
from deepdive.hardware.rtl.shared_repack import SharedRepack, repack_limits
from deepdive.hardware.rtl.shared_weights import SharedWeights
from deepdive.hardware.rtl.transfer import Beats, Transfer
from deepdive.hardware.stages import Repack, SharedBody
from deepdive.hardware.stages.shared_block import padded
from deepdive.hardware.stages.shared_chain import CODE_BITS
from deepdive.hardware.stream import Stream
from deepdive.qnet import QNet

PATIENCE = 255
"""Clock cycles, but no fewer than two frames take, after which idle blocks run on a batch that is not full."""


class SharedBodyComponent(StageComponent):
    """Three processes that hand each other halves of the memories at both ends: load, run, unload.

    *Load* fills a half of `came` with a batch and marks it full. *Run* waits for a full half of `came` and an empty one
    of `goes`, then runs block after block: the descriptor's ROM gives the block's numbers, and the words of its map
    flow through the datapath, from `came` or `between`, into `between` or `goes`. *Unload* empties `goes`.

    Maps may lie in external memory instead, weights too; the latter come into buffers on chip (`SharedWeights`).

    A batch that is not full is run all the same when no word of a next frame has come for as long as two frames take
    and the blocks have nothing else to do. Were they less patient, the first frame would run alone, and the batches of
    frames that come at the design's pace would grow slowly: the weights are loaded for each of them. At that pace there
    is less than a frame's time between two, but the first one meets empty pipelines and gains on the second.
    """

    def __init__(self, stage: SharedBody, net: QNet) -> None:
        super().__init__(stage, ports=memory_members(stage))
        self.stage = stage
        self.datapath = SharedDatapath(stage, net)
        self.columns = {shape for part in self.datapath.parts.values() for shape in part.columns}
        self.loader = SharedWeights(stage, self.datapath.layers) if stage.weights == "external" else None
        self.own = Limits([self._places(index) for index in range(len(stage.blocks))])
        self.words = {} if self.loader else self._words()
        self.table = self._table()
        tables = [self.table, self.loader.table if self.loader else None]
        looked_up = [rom for part in self.datapath.parts.values() for rom in part.roms]
        self.roms = [*self.words.values(), *(table for table in tables if table), *looked_up]

    def _places(self, index: int) -> dict[str, int]:
        """Words of the maps that a block reads and writes, and where its constants begin."""
        block = self.stage.blocks[index]
        found = {"reads": self.stage.words(block.shape), "writes": self.stage.words(block.output)}
        excited = any(one.scale for one in self.stage.blocks)
        if excited:
            found["factors"] = self.stage.words((1, 1, block.middle)) if block.scale else 0
        if self.stage.maps == "external":
            places = self.stage.map_places
            found |= {"read_at": places[self.stage.map_read(index)], "write_at": places[index + 1]}
            found |= {"factors_at": places[index]} if excited else {}
        elif excited:
            last = index + 1 == len(self.stage.blocks)
            found["write_behind"] = 0 if last else self.stage.inner_words(index + 1)[0]
            found["factors_behind"] = self.stage.inner_words(index)[0] if block.scale else 0
        if self.stage.weights == "external":
            return found
        for part, layers in self.datapath.layers.items():
            weights = [len(layer.words) for layer in layers.stored]
            scales = [layer.scale_rows for layer in layers.stored]
            found[f"{part}_weights"] = layers.begins(weights)[index]
            found[f"{part}_scales"] = layers.begins(scales)[index]
        return found

    def _words(self) -> dict[str, RomImage]:
        """The ROMs of weights and scales, all blocks' one after the other."""
        images = {}
        for part, layers in self.datapath.layers.items():
            for what, rows in (("weights", layers.weight_rows()), ("scales", layers.scale_rows())):
                bits = np.concatenate(rows)
                name = f"{part}_{what}"
                images[name] = rom_image(f"{self.stage.name}_{name}", self.memory(name), [bits])
        return images

    def _table(self) -> RomImage | None:
        """The descriptors; None where all blocks are alike."""
        fields = [numbers.bits() for numbers in (self.own, *self.datapath.numbers.values()) if numbers.width]
        if not fields:
            return None
        width = sum(field.shape[1] for field in fields)
        memory = Memory(name="blocks", depth=len(self.stage.blocks), width=width, read_only=True)
        return rom_image(f"{self.stage.name}_blocks", memory, fields)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.datapath = self.datapath
        maps = {name: self._ram(m, name) for name in self._map_depths()} if self.stage.maps == "on_chip" else {}
        came_full, goes_full = Signal(2, name="came_full"), Signal(2, name="goes_full")
        most = range(self.stage.batch + 1)
        came_frames, goes_frames = (
            Array(Signal(most, name=f"{name}_frames{half}") for half in range(2)) for name in ("came", "goes")
        )
        resting = Signal()
        filled, fill_half, frames_in = self._load(m, maps.get("came"), came_full, resting)
        run_half, block_done, last = self._run(m, maps, came_full, goes_full, came_frames, resting)
        emptied, empty_half = self._unload(m, maps.get("goes"), goes_full, goes_frames)
        if self.loader:
            m.d.comb += self.loader.done.eq(block_done)
        finished = Signal()
        m.d.comb += finished.eq(block_done & last)
        for half in range(2):
            with m.If(filled & (fill_half == half)):
                m.d.sync += [came_full[half].eq(1), came_frames[half].eq(frames_in)]
            with m.If(finished & (run_half == half)):
                m.d.sync += [came_full[half].eq(0), goes_full[half].eq(1), goes_frames[half].eq(came_frames[half])]
            with m.If(emptied & (empty_half == half)):
                m.d.sync += goes_full[half].eq(0)
        return m

    def _map_depths(self) -> dict[str, int]:
        """Words of a half of each memory of maps."""
        return {memory.name: memory.depth for memory in self.stage.map_memories()}

    def _ram(self, m: Module, name: str) -> RamPorts:
        """Both halves of a memory of maps, one behind the other."""
        return add_ram(m, self.memory(name))

    def _load(self, m: Module, ram: RamPorts | None, full: Signal, resting: Value) -> tuple[Signal, Signal, Signal]:
        """Frames into memory: (a half is full, which one, frames in it)."""
        stage = self.stage
        words = stage.words(stage.blocks[0].shape)
        half_words = stage.batch * words
        source = self._repacked(m, "load", relabelled(stage.input), self._words_of(stage.input, "load_words"))
        m.d.comb += [
            source.input0.payload.eq(self._bytes(self.input0.payload, stage.input)),
            source.input0.valid.eq(self.input0.valid),
            self.input0.ready.eq(source.input0.ready),
        ]
        beats = Beats.like(source.output0, "load")
        connect(m, source.output0, beats)
        how = Transfer.named("load", 2 * half_words, words)
        if ram:
            write_map(m, beats, {"came": ram}, Const(0), how, "load_map")
        else:
            write_memory(m, beats, self, f"{stage.name}_ends", self._maps_base, how)
        half, frames, place = Signal(name="load_half"), Signal(range(stage.batch + 1)), Signal.like(how.at)
        patience = max(PATIENCE, 2 * stage.interval_cycles)
        waited, filled = counter(patience + 1, "waited"), Signal(name="filled")
        m.d.comb += [how.at.eq(place), how.words.eq(words)]
        enough = (frames == stage.batch) | ((frames != 0) & resting & (waited == patience))
        with m.FSM(name="load"):
            with m.State("WAIT"), m.If(~full.bit_select(half, 1)):
                with m.If(enough):
                    m.d.comb += filled.eq(1)
                    m.d.sync += [half.eq(~half), frames.eq(0), waited.eq(0), place.eq(Mux(half, 0, half_words))]
                with m.Elif(beats.valid):
                    m.d.comb += how.begin.eq(1)
                    m.next = "MOVE"
                with m.Elif(waited != patience):
                    m.d.sync += waited.eq(waited + 1)
            with m.State("MOVE"), m.If(~how.busy):
                m.d.sync += [frames.eq(frames + 1), place.eq(place + words), waited.eq(0)]
                m.next = "WAIT"
        return filled, half, frames

    def _run(
        self, m: Module, maps: dict[str, RamPorts], came: Signal, goes: Signal, frames: Any, resting: Signal
    ) -> tuple[Signal, Signal, Signal]:
        """Block after block: (which half, a block is done, it was the last)."""
        stage, datapath = self.stage, self.datapath
        count, depths = len(stage.blocks), self._map_depths()
        half, block, odd = Signal(name="run_half"), counter(count, "block"), Signal()
        first, last, done, start, ready = (
            Signal(name=f"block_{n}") for n in ("first", "last", "done", "start", "read")
        )
        numbers = self._numbers(m, ready, block)
        firsts = [index for index in range(count) if stage.map_read(index) == 0]
        m.d.comb += [
            first.eq(Cat(block == index for index in firsts).any()),
            last.eq(block == count - 1),
            datapath.rest.eq(1),
        ]
        most = stage.batch * max(stage.words(shape) for b in stage.blocks for shape in (b.shape, b.output))
        far = 2 * max(depths.values()) if maps else stage.map_places[-1]
        reads, writes = (Transfer.named(name, far, most) for name in ("read", "write"))
        # Factors are read in front of the map.
        factors, ahead, lead = numbers.get("factors", 0), Signal(name="ahead"), Signal(name="lead")
        m.d.comb += [
            reads.begin.eq(start | lead),
            writes.begin.eq(start),
            reads.words.eq(times(frames[half], Mux(ahead, factors, numbers["reads"]))),
            writes.words.eq(times(frames[half], numbers["writes"])),
        ]
        taken = Beats.like(datapath.output, "write_map")
        connect(m, datapath.output, taken)
        ends = [stage.batch * stage.words(shape) for shape in (stage.blocks[0].shape, stage.blocks[-1].output)]
        if maps:
            between = depths.get("between", 0)
            inner_read, inner_write = Mux(odd, 0, between), Mux(odd, between, 0) + numbers.get("write_behind", 0)
            read_at = Mux(first, Mux(half, ends[0], 0), inner_read)
            m.d.comb += [
                reads.at.eq(Mux(ahead, inner_read + numbers.get("factors_behind", 0), read_at)),
                writes.at.eq(Mux(last, Mux(half, ends[1], 0), inner_write)),
            ]
            inner = {"between": maps["between"]} if between else {}
            given = read_map(m, {"came": maps["came"], **inner}, ~first | ahead, reads, "read_map")
            write_map(m, taken, {"goes": maps["goes"], **inner}, ~last, writes, "write_map")
        else:
            m.d.comb += [
                reads.at.eq(
                    Mux(ahead, numbers.get("factors_at", 0), numbers["read_at"] + Mux(first & half, ends[0], 0))
                ),
                writes.at.eq(numbers["write_at"] + Mux(last & half, ends[1], 0)),
            ]
            given = read_memory(m, self, f"{stage.name}_blocks", self._maps_base, reads)
            write_memory(m, taken, self, f"{stage.name}_blocks", self._maps_base, writes)
        connect(m, given, datapath.input)
        if "factors" in numbers:
            m.d.comb += datapath.factors.eq(ahead)
        with m.FSM(name="run"):
            with m.State("WAIT"):
                m.d.comb += resting.eq(~came.bit_select(half, 1))
                with m.If(came.bit_select(half, 1) & ~goes.bit_select(half, 1)):
                    m.next = "READ"
            with m.State("READ"):
                m.d.comb += ready.eq(1)
                with m.If(self._loaded()):
                    m.next = "LEAD" if "factors" in numbers else "START"
            if "factors" in numbers:
                with m.State("LEAD"):
                    m.d.comb += [ahead.eq(1), lead.eq(factors != 0)]
                    m.next = "AHEAD"
                with m.State("AHEAD"):
                    m.d.comb += ahead.eq(1)
                    with m.If(~reads.busy):
                        m.next = "START"
            with m.State("START"):
                m.d.comb += start.eq(1)
                m.next = "MOVE"
            with m.State("MOVE"):
                m.d.comb += datapath.rest.eq(0)
                m.d.comb += done.eq(~reads.busy & ~writes.busy & datapath.quiet)
                with m.If(done & last):
                    m.d.sync += [block.eq(0), odd.eq(0), half.eq(~half)]
                    m.next = "WAIT"
                with m.Elif(done):
                    m.d.sync += [block.eq(block + 1), odd.eq(~odd)]
                    m.next = "READ"
        return half, done, last

    def _numbers(self, m: Module, enable: Value, block: Signal) -> dict[str, Any]:
        """The block's own numbers; those of the datapath are connected, and the words that it asks for."""
        word: Value = Const(0, 1)
        if self.table:
            word = read_rom(
                m, self.table, enable=enable, address=Cat(block, Const(0, 1))[: address_bits(self.table.depth)]
            )
        start, own = self.own.width, self.own.values(word)
        for name, numbers in self.datapath.numbers.items():
            m.d.comb += getattr(self.datapath, name).eq(word[start : start + numbers.width])
            start += numbers.width
        if self.loader:
            self._connect_loader(m)
        for name, image in self.words.items():
            part, what = name.split("_")
            address = Signal(address_bits(image.depth), name=f"{name}_at")
            m.d.comb += address.eq(getattr(self.datapath, f"{part}_{what}_address") + own[name])
            data = read_rom(m, image, enable=getattr(self.datapath, f"{part}_enable"), address=address)
            m.d.comb += getattr(self.datapath, f"{part}_{what}_word").eq(data)
        return own

    def _connect_loader(self, m: Module) -> None:
        """The words that the datapath asks for come out of the buffers; those are filled from external memory."""
        loader, name = self.loader, f"{self.stage.name}_weights"
        assert loader
        m.submodules.weights = loader
        m.d.comb += [loader.base.eq(getattr(self, f"{name}_base")), loader.awake.eq(self.input0.valid)]
        hand_through(m, self, name, loader)
        for store in loader.stores:
            part = store.name.split("_")[0]
            m.d.comb += [
                getattr(loader, f"{store.name}_address").eq(getattr(self.datapath, f"{store.name}_address")),
                getattr(loader, f"{store.name}_enable").eq(getattr(self.datapath, f"{part}_enable")),
                getattr(self.datapath, f"{store.name}_word").eq(getattr(loader, f"{store.name}_word")),
            ]

    def _loaded(self) -> Value:
        """Whether the weights of the block at hand are there."""
        return self.loader.loaded if self.loader else Const(1)

    @property
    def _maps_base(self) -> Value:
        """Byte address of the maps in external memory."""
        return getattr(self, f"{self.stage.name}_maps_base")

    def _unload(self, m: Module, ram: RamPorts | None, full: Signal, frames: Any) -> tuple[Signal, Signal]:
        """Frames out of memory: (a half is empty, which one)."""
        stage = self.stage
        words = stage.words(stage.blocks[-1].output)
        half_words, start = stage.batch * words, 0 if ram else stage.map_places[-2]
        how = Transfer.named("unload", start + 2 * half_words, stage.batch * words)
        half, emptied = Signal(name="unload_half"), Signal(name="emptied")
        if ram:
            beats = read_map(m, {"goes": ram}, Const(0), how, "unload_map")
        else:
            beats = read_memory(m, self, f"{stage.name}_ends", self._maps_base, how)
        target = self._repacked(m, "unload", self._words_of(stage.output, "unload_words"), relabelled(stage.output))
        connect(m, beats, target.input0)
        m.d.comb += [
            self.output0.payload.eq(self._codes(target.output0.payload, stage.output)),
            self.output0.valid.eq(target.output0.valid),
            target.output0.ready.eq(self.output0.ready),
            how.at.eq(start + Mux(half, half_words, 0)),
            how.words.eq(times(frames[half], words)),
        ]
        with m.FSM(name="unload"):
            with m.State("WAIT"), m.If(full.bit_select(half, 1)):
                m.d.comb += how.begin.eq(1)
                m.next = "MOVE"
            with m.State("MOVE"), m.If(~how.busy):
                m.d.comb += emptied.eq(1)
                m.d.sync += half.eq(~half)
                m.next = "WAIT"
        return emptied, half

    def _words_of(self, end: Stream, name: str) -> Stream:
        """The words of memory that hold the map of one of the ends."""
        channels = padded(end.channels, self.stage.folding.outer)
        lanes = self.stage.folding.memory_lanes
        return relabelled(end).model_copy(update={"name": name, "channels": channels, "lanes": lanes})

    def _repacked(self, m: Module, name: str, source: Stream, target: Stream) -> SharedRepack:
        """Between the lanes and channels of a stream and those of memory."""
        stage = Repack(name=f"{self.stage.name}_{name}", input=source, output=target)
        part = SharedRepack(stage, Limits([repack_limits(stage)]))
        m.submodules[name] = part
        return part

    def _bytes(self, beat: Value, of: Stream) -> Value:
        """Codes as unsigned bytes: signed ones move up by half their range, which flips their sign's bit."""
        codes = [beat.word_select(lane, of.bits) for lane in range(of.lanes)]
        sign = 1 << (of.bits - 1) if of.signed else 0
        return Cat(Cat(code ^ sign, Const(0, CODE_BITS - of.bits)) for code in codes)

    def _codes(self, beat: Value, of: Stream) -> Value:
        """The way back."""
        sign = 1 << (of.bits - 1) if of.signed else 0
        return Cat((beat.word_select(lane, CODE_BITS) ^ sign)[: of.bits] for lane in range(of.lanes))


def times(frames: Value, words: Value | int) -> Value:
    """The words of so many frames, by shifted additions: a plain product would take a DSP that nobody counted."""
    terms = [Mux(frames[bit], words << bit, 0) for bit in range(len(frames))]
    return sum(terms[1:], terms[0])


def relabelled(end: Stream) -> Stream:
    """The stream in unsigned bytes."""
    return end.model_copy(update={"bits": CODE_BITS, "signed": False})
