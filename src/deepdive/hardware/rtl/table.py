"""Table in RTL: a small ROM a lane."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal

from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.memories import field_bits, read_rom, rom_image
from deepdive.hardware.stages.table import Table
from deepdive.qnet import ops


class TableComponent(StageComponent):
    """Looks up every lane of a beat; the ROMs' output registers are the stage's."""

    def __init__(self, stage: Table, node: ops.Table) -> None:
        super().__init__(stage)
        self.stage = stage
        bits = field_bits(node.values[:, None], stage.output.bits)
        self.image = rom_image(f"{stage.name}_codes", self.memory("codes"), [bits])
        self.roms = [self.image]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage = self.stage
        advance = Signal()
        m.d.comb += [
            advance.eq(~self.output0.valid | self.output0.ready),
            self.input0.ready.eq(advance),
        ]
        with m.If(advance):
            m.d.sync += self.output0.valid.eq(self.input0.valid)
        codes = []
        for lane in range(stage.input.lanes):
            code = self.input0.payload.word_select(lane, stage.input.bits)
            # The first word belongs to the smallest code, which is negative when codes are signed.
            address = Signal(stage.input.bits, name=f"address{lane}")
            m.d.comb += address.eq(code ^ (1 << (stage.input.bits - 1)) if stage.input.signed else code)
            codes.append(read_rom(m, self.image, enable=advance, address=address, name=f"lane{lane}"))
        m.d.comb += self.output0.payload.eq(Cat(codes))
        return m
