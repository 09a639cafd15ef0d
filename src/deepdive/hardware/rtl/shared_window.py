"""The window of a shared unit: as the streamed one, its map's size that of the block at hand."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from deepdive.hardware.memory import Memory
from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.limits import Limits
from deepdive.hardware.rtl.memories import RamPorts
from deepdive.hardware.rtl.window import WindowComponent
from deepdive.hardware.stages.window import Window


class SharedWindow(WindowComponent):
    """Both rasters begin anew with every block.

    Attributes
    ----------
    rest
        No block runs; when it falls, the next one begins.
    between_frames
        All of the frames that came has been read.
    """

    def __init__(self, stage: Window, numbers: Limits, pause: int) -> None:
        StageComponent.__init__(self, stage, numbers, {"rest": In(1), "between_frames": Out(1)})
        self._configure(stage, pause)

    def _runs(self) -> Value:
        """The steps ahead of the block before must not go on with the numbers of the next one."""
        return ~self.rest

    def _restart(self, m: Module, positions: Sequence[Signal], done: Signal) -> None:
        with m.If(self.rest):
            m.d.sync += [*(position.eq(0) for position in positions), done.eq(self.limits()["lag"])]

    def _between_frames(self, m: Module, now: Value) -> None:
        m.d.comb += self.between_frames.eq(now)

    def _read(self, m: Module, ram: RamPorts, memory: Memory) -> Value:
        """A small map's next step may come back to an address that is being written: it takes what is written."""
        least = {"lines": "last_in_line", "columns": "last_group"}[memory.name]
        if memory.depth == 1 or self.numbers.least(least) > 0:
            return ram.read_data
        again = Signal(name=f"{memory.name}_again")
        written = Signal.like(ram.write_data, name=f"{memory.name}_written", reset_less=True)
        with m.If(ram.read_enable):
            m.d.sync += [
                again.eq(ram.write_enable & (ram.write_address == ram.read_address)),
                written.eq(ram.write_data),
            ]
        return Mux(again, written, ram.read_data)

    def _zero_points(self, group: Signal) -> Value:
        zero, bits = self.limits()["zero_point"], self.stage.input.bits
        byte = C(zero, bits) if isinstance(zero, int) else Cat(zero, C(0, bits - len(zero)))
        return Cat([byte] * self.stage.input.lanes)
