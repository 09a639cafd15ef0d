"""Maximum of a window in RTL: a pipelined tree of comparisons a lane."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned

from deepdive.hardware.rtl.adder_tree import RADIX
from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.counters import delayed
from deepdive.hardware.stages.summing import tree_levels
from deepdive.hardware.stages.window_pool import WindowPool


class MaxPoolComponent(StageComponent):
    """Takes the windows of `lanes` channels and gives their largest codes, a beat a cycle.

    The padding holds the smallest code, so it needs no care here.
    """

    def __init__(self, stage: WindowPool) -> None:
        super().__init__(stage)
        self.stage = stage

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage = self.stage
        advance = Signal()
        levels = tree_levels(stage.input.taps, RADIX)
        payload = [self._lane(m, advance, lane, levels) for lane in range(stage.input.lanes)]
        m.d.comb += [
            advance.eq(~self.output0.valid | self.output0.ready),
            self.input0.ready.eq(advance),
            self.output0.valid.eq(delayed(m, self.input0.valid, 1 + levels, advance, "valid")),
            self.output0.payload.eq(Cat(payload)),
        ]
        return m

    def _lane(self, m: Module, advance: Value, lane: int, levels: int) -> Value:
        """The largest code of a lane, `1 + levels` steps after its window."""
        source = self.stage.input
        shape = signed(source.bits) if source.signed else unsigned(source.bits)
        codes: list[Value] = []
        for tap in range(source.taps):
            codes.append(self._register(m, advance, shape, self._code(tap, lane), f"code{lane}_{tap}"))
        for level in range(levels):
            groups = [codes[start : start + RADIX] for start in range(0, len(codes), RADIX)]
            codes = [
                self._register(m, advance, shape, largest(group), f"largest{lane}_{level}_{index}")
                for index, group in enumerate(groups)
            ]
        return codes[0]

    def _code(self, tap: int, lane: int) -> Value:
        return self.input0.payload.word_select(tap * self.stage.input.lanes + lane, self.stage.input.bits)

    def _register(self, m: Module, advance: Value, shape: object, value: Value, name: str) -> Signal:
        register = Signal(shape, name=name, reset_less=True)
        with m.If(advance):
            m.d.sync += register.eq(value)
        return register


def largest(codes: Sequence[Value]) -> Value:
    """The largest of up to four codes, two and two."""
    if len(codes) == 1:
        return codes[0]
    half = (len(codes) + 1) // 2
    first, second = largest(codes[:half]), largest(codes[half:])
    return Mux(first > second, first, second)
