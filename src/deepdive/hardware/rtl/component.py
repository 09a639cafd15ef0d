"""What all stages have in common in RTL: stream ports from the contract, ROM images, shared modules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Module, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Member, Out

from deepdive.hardware.memory import Memory
from deepdive.hardware.rtl.limits import Limit, Limits
from deepdive.hardware.rtl.mac_column import MacShape
from deepdive.hardware.rtl.memories import RomImage
from deepdive.hardware.stages.stage import Stage


class StageComponent(wiring.Component):
    """A stage in RTL: ports ``input0``, ``input1``, ... and ``output0``, ... in the order of the contract.

    One of a shared unit has a port ``descriptor``, the word of its `Limits` for the block at hand, which changes only
    while nothing moves.

    The payload of a port is a beat: tap outermost, then lane, lowest first. The whole pipeline of a stage moves while
    its output register is empty or being read, and stands still otherwise.

    Parameters
    ----------
    stage
        The contract; of a shared unit, that of any block. Its name is unique in a design, and so are the names of the
        ROM images that begin with it.
    numbers
        What the component counts by, if its blocks differ in it.
    ports
        Besides those above.
    """

    def __init__(self, stage: Stage, numbers: Limits | None = None, ports: Mapping[str, Member] | None = None) -> None:
        members = {f"input{i}": In(stream.Signature(unsigned(s.beat_bits))) for i, s in enumerate(stage.inputs)}
        members |= {f"output{i}": Out(stream.Signature(unsigned(s.beat_bits))) for i, s in enumerate(stage.outputs)}
        self.numbers = numbers or Limits([{}])
        if self.numbers.width:
            members["descriptor"] = In(self.numbers.width)
        members |= ports or {}
        super().__init__(members)
        self.contract = stage
        self.roms: list[RomImage] = []
        self.columns: set[MacShape] = set()

    def limits(self) -> dict[str, Limit]:
        """The numbers by which it counts, by name."""
        return self.numbers.values(self.descriptor if self.numbers.width else None)

    def memory(self, name: str) -> Memory:
        """The contract's memory of that name."""
        return self.contract.rtl_memory(name)


def connect(m: Module, source: Any, target: Any) -> None:
    """Hand a stream's beats to another."""
    m.d.comb += [target.payload.eq(source.payload), target.valid.eq(source.valid), source.ready.eq(target.ready)]
