"""Weights of a shared unit from external memory: block by block into one or two buffers on chip."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Member, Out

from deepdive.hardware.memory import Memory
from deepdive.hardware.rtl.axi import ADDRESS_BITS, PORT, read_members, read_memory
from deepdive.hardware.rtl.counters import counter, next_until
from deepdive.hardware.rtl.limits import Limit, Limits
from deepdive.hardware.rtl.memories import RomImage, add_ram, address_bits, read_rom, rom_image
from deepdive.hardware.rtl.shared_layers import Layers
from deepdive.hardware.rtl.transfer import Transfer
from deepdive.hardware.stages import SharedBody
from deepdive.hardware.stages.external import WORD_BITS
from deepdive.hardware.stages.shared_body import SCALE_BITS


def container_bits(weight_bits: int) -> int:
    """Bits that a weight takes in memory; as in ``deepdive/weights.h``."""
    return next(bits for bits in (2, 4, 8, 16) if weight_bits <= bits)


@dataclass(frozen=True, eq=False)
class Store:
    """One memory on chip, `width` bits a row, and what its rows look like outside.

    Parameters
    ----------
    rows
        Of each block; 0 for one without the part.
    places
        Of each field in the row outside, lowest bit, in the order in which they lie on chip.
    field_bits
        Of each of them.
    row_bits
        Of a row outside, without what fills up its last word.
    """

    name: str
    rows: tuple[int, ...]
    places: tuple[int, ...]
    field_bits: int
    row_bits: int

    @property
    def parts(self) -> int:
        """Memory words of a row."""
        return -(-self.row_bits // WORD_BITS)

    @property
    def width(self) -> int:
        return len(self.places) * self.field_bits

    def fields(self, row: Value) -> Value:
        """A row as it lies on chip."""
        return Cat(row[at : at + self.field_bits] for at in self.places)


def stores(layers: dict[str, Layers]) -> list[Store]:
    """All memories, in the order of their rows outside: weights and scales, part by part."""
    found = []
    for part, one in layers.items():
        bits, (_, columns, operands) = container_bits(one.weight_bits), one.first.words.shape
        places = [(operand * columns + column) * bits for column in range(columns) for operand in range(operands)]
        rows = tuple(len(layer.words) if layer else 0 for layer in one.all)
        found.append(Store(f"{part}_weights", rows, tuple(places), one.weight_bits, columns * operands * bits))
        lanes = one.first.stage.output.lanes
        rows = tuple(layer.scale_rows if layer else 0 for layer in one.all)
        places = [lane * SCALE_BITS for lane in range(lanes)]
        found.append(Store(f"{part}_scales", rows, tuple(places), one.precision.scale_bits, lanes * SCALE_BITS))
    return found


@dataclass(frozen=True)
class Held:
    """A row on its way into a store."""

    words: Signal
    store: Signal
    row: Signal
    now: Signal


class SharedWeights(wiring.Component):
    """Loads blocks in turn, over and over again, each into the next free buffer.

    Attributes
    ----------
    awake
        Once it has been high, loading begins.
    base
        Byte address of the first block's words; a multiple of 4096.
    loaded
        The buffer of the block at hand is full.
    done
        The block at hand needs it no longer.
    <store>_address, <store>_enable, <store>_word
        The block at hand reads row `address`; the word follows by a cycle of `enable`.
    """

    def __init__(self, stage: SharedBody, layers: dict[str, Layers]) -> None:
        self.stage = stage
        self.stores = stores(layers)
        members: dict[str, Member] = {
            "awake": In(1),
            "base": In(ADDRESS_BITS),
            "loaded": Out(1),
            "done": In(1),
            **read_members(PORT, WORD_BITS),
        }
        for store in self.stores:
            members |= {
                f"{store.name}_address": In(range(max(2, *store.rows))),
                f"{store.name}_enable": In(1),
                f"{store.name}_word": Out(store.width),
            }
        super().__init__(members)
        words = [stage.weight_words(block) for block in stage.blocks]
        sizes = [{f"last_{s.name}": max(s.rows[i] - 1, 0) for s in self.stores} for i in range(len(words))]
        self.numbers = Limits(
            [
                {"at": sum(words[:index]), "words": words[index], **sizes[index], "has": self._has(index)}
                for index in range(len(words))
            ]
        )
        self.table: RomImage | None = None
        if self.numbers.width:
            memory = Memory(name="loads", depth=len(words), width=self.numbers.width, read_only=True)
            self.table = rom_image(f"{stage.name}_loads", memory, [self.numbers.bits()])

    def _has(self, index: int) -> int:
        """A bit a store: whether the block has rows in it."""
        return sum(int(store.rows[index] > 0) << bit for bit, store in enumerate(self.stores))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage, blocks = self.stage, len(self.stage.blocks)
        buffers = stage.weight_buffers
        fill, use = (Signal(name=name) for name in ("fill_buffer", "use_buffer"))
        full = Signal(2)
        block, read = counter(blocks, "block"), Signal()
        word: Value = C(0, 1)
        if self.table:
            address = Cat(block, C(0, 1))[: address_bits(blocks)]
            word = read_rom(m, self.table, enable=read, address=address)
        numbers = self.numbers.values(word)
        most = sum(stage.weight_words(one) for one in stage.blocks)
        how = Transfer.named("weights", most + 1, most)
        m.d.comb += [how.at.eq(numbers["at"]), how.words.eq(numbers["words"])]
        held = self._rows(m, numbers, how)
        awake, filled = Signal(), Signal()
        with m.If(self.awake):
            m.d.sync += awake.eq(1)
        with m.FSM(name="load"):
            with m.State("WAIT"), m.If(awake & ~full.bit_select(fill, 1)):
                m.d.comb += read.eq(1)
                m.next = "BEGIN"
            with m.State("BEGIN"):
                m.d.comb += how.begin.eq(1)
                m.next = "MOVE"
            with m.State("MOVE"), m.If(~how.busy & ~held.now):
                m.d.comb += filled.eq(1)
                m.d.sync += [block.eq(next_until(block, blocks - 1)), fill.eq(~fill if buffers == 2 else 0)]
                m.next = "WAIT"
        m.d.comb += self.loaded.eq(full.bit_select(use, 1))
        for buffer in range(2):
            with m.If(filled & (fill == buffer)):
                m.d.sync += full[buffer].eq(1)
            with m.Elif(self.done & (use == buffer)):
                m.d.sync += full[buffer].eq(0)
        if buffers == 2:
            with m.If(self.done):
                m.d.sync += use.eq(~use)
        self._memories(m, held, fill, use)
        return m

    def _rows(self, m: Module, numbers: dict[str, Limit], how: Transfer) -> Held:
        """Memory words to rows, one store after the other."""
        beats = read_memory(m, self, PORT, self.base, how)
        most = max(store.parts for store in self.stores)
        waiting = Signal(max(most - 1, 1) * WORD_BITS, reset_less=True)
        whole = Cat(waiting, beats.payload) if most > 1 else Cat(beats.payload)
        which, part = counter(len(self.stores), "store"), counter(most, "part")
        row = counter(max(max(store.rows) for store in self.stores), "row")
        has = numbers["has"]
        used: Value = Array(
            C((has >> bit) & 1, 1) if isinstance(has, int) else has[bit] for bit in range(len(self.stores))
        )[which]
        last_part = Array(C(store.parts - 1, len(part)) for store in self.stores)[which]
        last_row = Array(
            C(n, len(row)) if isinstance(n := numbers[f"last_{store.name}"], int) else n for store in self.stores
        )[which]
        take, stored, storing = Signal(name="take"), Signal(name="stored"), Signal(name="storing")
        m.d.comb += [beats.ready.eq(used), take.eq(beats.valid & used), stored.eq(take & (part == last_part))]
        # A row waits a cycle in a register: the multiplexers in front of the memories are wide.
        held = Signal(most * WORD_BITS, name="held", reset_less=True)
        held_store, held_row = Signal.like(which, name="held_store"), Signal.like(row, name="held_row")
        m.d.sync += storing.eq(stored)
        with m.If(take):
            m.d.sync += part.eq(next_until(part, last_part))
            if most > 1:
                m.d.sync += waiting.eq(whole[WORD_BITS:])
        with m.If(stored):
            m.d.sync += [row.eq(next_until(row, last_row)), held.eq(whole), held_store.eq(which), held_row.eq(row)]
        with m.If((stored & (row == last_row)) | (~used & (how.busy | beats.valid))):
            m.d.sync += which.eq(next_until(which, len(self.stores) - 1))
        with m.If(how.begin):
            m.d.sync += [which.eq(0), part.eq(0), row.eq(0)]
        return Held(held, held_store, held_row, storing)

    def _memories(self, m: Module, held: Held, fill: Signal, use: Signal) -> None:
        """The memories, both buffers in one, one behind the other."""
        most = len(held.words) // WORD_BITS
        for index, store in enumerate(self.stores):
            depth = max(store.rows)
            ram = add_ram(m, self.stage.rtl_memory(store.name))
            row = held.words[(most - store.parts) * WORD_BITS :]
            m.d.comb += [
                ram.write_enable.eq(held.now & (held.store == index)),
                ram.write_address.eq(held.row + Mux(fill, depth, 0)),
                ram.write_data.eq(store.fields(row)),
                ram.read_enable.eq(getattr(self, f"{store.name}_enable")),
                ram.read_address.eq(getattr(self, f"{store.name}_address") + Mux(use, depth, 0)),
                getattr(self, f"{store.name}_word").eq(ram.read_data),
            ]
