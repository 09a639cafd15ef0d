"""Table of a shared unit in RTL: a ROM of all blocks' tables, one copy a lane."""

from __future__ import annotations

import numpy as np
from amaranth.hdl import C, Cat, Module, Signal

from deepdive.errors import DeepDiveError
from deepdive.hardware.constants import table_codes
from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.limits import Limits
from deepdive.hardware.rtl.memories import address_bits, field_bits, read_rom, rom_image
from deepdive.hardware.stages.shared_body import SharedBody
from deepdive.hardware.stages.shared_chain import CODE_BITS
from deepdive.hardware.stages.table import Table
from deepdive.qnet import QNet
from deepdive.qnet.ops import Table as TableNode


class SharedTable(StageComponent):
    """Looks up every lane of a beat in the table that the descriptor numbers; the ROM's register is the stage's."""

    def __init__(self, stage: Table, numbers: Limits, body: SharedBody, net: QNet) -> None:
        super().__init__(stage, numbers)
        self.stage = stage
        part = stage.name.removesuffix("_table")
        codes = np.concatenate([block_codes(name, net) for name in body.tables(part)])
        memory = next(one for one in body.table_memories() if one.name == f"{part}_tables")
        self.image = rom_image(f"{body.name}_{memory.name}", memory, [field_bits(codes, CODE_BITS)])
        self.roms = [self.image]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        advance = Signal()
        m.d.comb += [advance.eq(~self.output0.valid | self.output0.ready), self.input0.ready.eq(advance)]
        with m.If(advance):
            m.d.sync += self.output0.valid.eq(self.input0.valid)
        table = self.limits()["table"]
        codes = []
        for lane in range(self.stage.input.lanes):
            code = self.input0.payload.word_select(lane, CODE_BITS)
            address = Signal(address_bits(self.image.depth), name=f"address{lane}")
            m.d.comb += address.eq(Cat(code, C(table, 1) if isinstance(table, int) else table))
            codes.append(read_rom(m, self.image, enable=advance, address=address, name=f"lane{lane}"))
        m.d.comb += self.output0.payload.eq(Cat(codes))
        return m


def block_codes(name: str | None, net: QNet) -> np.ndarray:
    """The codes behind one layer, uint8 (256,)."""
    node = next(node for node in net.nodes if node.name == name) if name else None
    if not (node is None or isinstance(node, TableNode)):
        raise DeepDiveError(f"'{name}' is no table; compile the network again.")
    return table_codes(node)
