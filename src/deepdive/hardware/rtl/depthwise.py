"""Depthwise in RTL: a column of `taps` multipliers a lane."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, ClockSignal, Instance, Module, ResetSignal, Signal, Value

from deepdive.hardware.constants import depthwise_weights
from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.counters import counter, delayed, next_until
from deepdive.hardware.rtl.limits import Limits
from deepdive.hardware.rtl.mac_column import MacShape, handed_over
from deepdive.hardware.rtl.memories import address_bits, field_bits, read_rom, rom_image, signed_bits
from deepdive.hardware.rtl.requantizer import convolution_requantizer
from deepdive.hardware.stages.depthwise import Depthwise
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops import Conv


def depthwise_limits(stage: Depthwise) -> dict[str, int]:
    """What its counters count to: steps of a beat, and words of a pixel."""
    return {"last_turn": stage.folded.steps - 1, "last_word": stage.input.groups * stage.folded.steps - 1}


class DepthwiseComponent(StageComponent):
    """Takes the windows of `lanes` channels and gives their outputs, a beat in as many cycles as its taps take.

    As in `DenseComponent`, multipliers of LUTs get signed codes moved up by half their range.
    """

    signs: int = 0
    """The bits of a window that are inverted in front of the multipliers."""

    def __init__(self, stage: Depthwise, node: Conv, x: FeatureMap) -> None:
        super().__init__(stage, Limits([depthwise_limits(stage)]))
        self.stage = stage
        words = depthwise_weights(stage, node).transpose(0, 2, 1)  # (group, lane, tap)
        x, self.signs = handed_over(x, stage.fabric, stage.folded.parallel)
        self.shape = MacShape(
            inputs=stage.folded.parallel,
            x_bits=stage.input.bits,
            x_signed=x.signed,
            w_bits=signed_bits(words),
            acc_bits=stage.requantizer.acc_bits,
            accumulate=stage.folded.most_steps > 1,
            fabric=stage.fabric,
            cascade=stage.cascaded,
        )
        self.columns.add(self.shape)
        memory = self.memory("weights")
        self.weights = rom_image(f"{stage.name}_weights", memory, [field_bits(words, self.shape.w_bits)])
        self.requantizer = convolution_requantizer(stage, node, x, self.shape.acc_bits)
        self.roms = [self.weights, *self.requantizer.roms]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage, shape = self.stage, self.shape
        advance, fire, first, last = Signal(), Signal(), Signal(), Signal()
        turn = counter(self.numbers.most("last_turn") + 1, "turn")
        m.d.comb += [
            advance.eq(~self.output0.valid | self.output0.ready),
            first.eq(turn == 0),
            fire.eq(advance & (self.input0.valid | ~first)),
            self.input0.ready.eq(advance & first),
            last.eq(turn == self.limits()["last_turn"]),
        ]
        windows = Signal(stage.input.beat_bits, reset_less=True)
        with m.If(fire):
            m.d.sync += turn.eq(next_until(turn, self.limits()["last_turn"]))
            with m.If(first):
                m.d.sync += windows.eq(self.input0.payload)
        words = self.numbers.most("last_word") + 1
        count = counter(words, "count")
        with m.If(fire):
            m.d.sync += count.eq(next_until(count, self.limits()["last_word"]))
        address = Signal(address_bits(words))
        m.d.comb += address.eq(count)
        word = self._word(m, advance, address)
        now = delayed(m, turn, 1, advance, "now")
        # One step behind `fire` stand windows and weights; `sum_latency` later their sum; then the accumulator.
        control = {
            "i_add": delayed(m, fire, 1 + shape.sum_latency, advance, "add"),
            "i_clear": delayed(m, first, 1 + shape.sum_latency, advance, "clear"),
        }
        sums = []
        for lane in range(stage.input.lanes):
            window = self._codes(windows, now, lane)
            total = Signal(shape.acc_bits, name=f"sum{lane}")
            m.submodules[f"column{lane}"] = Instance(
                shape.name,
                i_clk=ClockSignal(),
                i_rst=ResetSignal(),
                i_enable=advance,
                i_x=window ^ self.signs if self.signs else window,
                i_w=word.word_select(lane, shape.inputs * shape.w_bits),
                o_acc=total,
                **(control if shape.accumulate else {}),
            )
            sums.append(total)
        m.submodules.requantizer = requantizer = self.requantizer
        m.d.comb += [
            requantizer.enable.eq(advance),
            requantizer.valid.eq(delayed(m, fire & last, 1 + shape.latency, advance, "valid")),
            requantizer.acc.eq(Cat(sums)),
            self.output0.valid.eq(requantizer.output_valid),
            self.output0.payload.eq(requantizer.codes),
        ]
        return m

    def _codes(self, windows: Signal, turn: Value, lane: int) -> Value:
        """What a lane's multipliers take in a step; beyond the last tap any code, whose weight is zero."""
        taps, lanes = self.stage.folded, self.stage.input.lanes
        steps = [
            Cat(windows.word_select(tap * lanes + lane, self.shape.x_bits) for tap in taps.of_step(step))
            for step in range(taps.most_steps)
        ]
        return Array(steps)[turn] if len(steps) > 1 else steps[0]

    def _word(self, m: Module, advance: Value, address: Signal) -> Value:
        """The weights of the group that had this address."""
        return read_rom(m, self.weights, enable=advance, address=address)
