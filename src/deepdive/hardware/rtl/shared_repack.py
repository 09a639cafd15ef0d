"""Repack of a shared unit: to other lanes, and to another padding of a pixel's channels."""

from __future__ import annotations

import math
from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import stream
from amaranth.lib.wiring import Out

from deepdive.hardware.rtl.component import StageComponent, connect
from deepdive.hardware.rtl.counters import counter, next_until
from deepdive.hardware.rtl.limits import Limits
from deepdive.hardware.rtl.repack import RepackComponent
from deepdive.hardware.stages.repack import Repack


def repack_limits(stage: Repack) -> dict[str, int]:
    """A pixel's beats of the narrower side: those that are read, those that are written, and the more of both."""
    reads, writes = (side.channels // stage.narrow_lanes for side in (stage.input, stage.output))
    return {"reads": reads, "writes": writes, "last": max(reads, writes) - 1}


class SharedRepack(StageComponent):
    """What the output has more is zeros, what the input has more is dropped.

    A wide input is split before, a wide output joined behind.

    Attributes
    ----------
    between_pixels
        All of the pixels that came has been read and written or dropped, but for what a wide output still joins.
    """

    def __init__(self, stage: Repack, numbers: Limits) -> None:
        super().__init__(stage, numbers, {"between_pixels": Out(1)})
        self.stage = stage

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage, limits = self.stage, self.limits()
        narrow = stage.narrow_lanes * stage.input.bits
        beat = stream.Signature(unsigned(narrow))
        given, taken = beat.create(path=("given",)), beat.create(path=("taken",))
        self._convert(m, "split", self.input0, given)
        self._convert(m, "join", taken, self.output0)
        at = counter(self.numbers.most("last") + 1, "at")
        reads, writes = Signal(), Signal()
        m.d.comb += [
            # Every pixel has at least one beat on both sides, even before there is a block.
            reads.eq((at == 0) | (at < limits["reads"])),
            writes.eq((at == 0) | (at < limits["writes"])),
            given.ready.eq(reads & (~writes | taken.ready)),
            taken.valid.eq(writes & (~reads | given.valid)),
            taken.payload.eq(Mux(reads, given.payload, 0)),
            self.between_pixels.eq(at == 0),
        ]
        with m.If((~reads | given.valid) & (~writes | taken.ready)):
            m.d.sync += at.eq(next_until(at, limits["last"]))
        return m

    def _convert(self, m: Module, name: str, source: Any, target: Any) -> None:
        """From one number of lanes to another, if they differ."""
        widths = len(source.payload), len(target.payload)
        if widths[0] == widths[1]:
            connect(m, source, target)
            return
        bits = self.stage.input.bits
        lanes = [width // bits for width in widths]
        shape = self.stage.input.model_copy(
            update={"height": 1, "width": 1, "channels": math.lcm(*lanes), "lanes": lanes[0]}
        )
        part = RepackComponent(
            Repack(
                name=f"{self.stage.name}_{name}",
                input=shape.model_copy(update={"name": "from"}),
                output=shape.model_copy(update={"name": "to", "lanes": lanes[1]}),
            )
        )
        m.submodules[name] = part
        connect(m, source, part.input0)
        connect(m, part.output0, target)
