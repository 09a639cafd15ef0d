"""What all stages have in common in RTL: stream ports from the contract, ROM images, shared modules."""

from __future__ import annotations

from amaranth.hdl import unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from deepdive.hardware.memory import Memory
from deepdive.hardware.rtl.mac_column import MacShape
from deepdive.hardware.rtl.memories import RomImage
from deepdive.hardware.stages.stage import Stage


class StageComponent(wiring.Component):
    """A stage in RTL: ports ``input0``, ``input1``, ... and ``output0``, ... in the order of the contract.

    The payload of a port is a beat: tap outermost, then lane, lowest first. The whole pipeline of a stage moves while
    its output register is empty or being read, and stands still otherwise.

    Parameters
    ----------
    stage
        The contract. Its name is unique in a design, and so are the names of the ROM images that begin with it.
    """

    def __init__(self, stage: Stage) -> None:
        members = {f"input{i}": In(stream.Signature(unsigned(s.beat_bits))) for i, s in enumerate(stage.inputs)}
        members |= {f"output{i}": Out(stream.Signature(unsigned(s.beat_bits))) for i, s in enumerate(stage.outputs)}
        super().__init__(members)
        self.contract = stage
        self.roms: list[RomImage] = []
        self.columns: set[MacShape] = set()

    def memory(self, name: str) -> Memory:
        """The contract's memory of that name."""
        return next(memory for memory in self.contract.memories if memory.name == name)
