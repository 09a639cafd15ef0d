"""Depthwise in RTL on windows of two neighbouring pixels: a multiplier a tap and lane for both of them."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, ClockSignal, Instance, Module, Mux, ResetSignal, Signal, Value

from deepdive.hardware.constants import depthwise_weights
from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.counters import counter, delayed, next_in
from deepdive.hardware.rtl.fifo import StreamFifo
from deepdive.hardware.rtl.mac_column import MacShape
from deepdive.hardware.rtl.memories import field_bits, read_rom, rom_image, signed_bits
from deepdive.hardware.rtl.requantizer import convolution_requantizer
from deepdive.hardware.stages.depthwise import Depthwise
from deepdive.hardware.stages.pixel_pair import waiting_beats
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops import Conv


class DepthwisePairsComponent(StageComponent):
    """Takes a beat of windows in two steps, half of its lanes each; gives both pixels' codes one after the other.

    Whole beats of codes wait in a FIFO for either pixel. The pipeline stands still only when one of them is full; the
    output takes all of a pixel's beats from one FIFO, then from the other, whatever the pipeline does.
    """

    def __init__(self, stage: Depthwise, node: Conv, x: FeatureMap) -> None:
        super().__init__(stage)
        assert stage.pixel_pair is not None
        self.stage, self.pair = stage, stage.pixel_pair
        words = depthwise_weights(stage, node).transpose(0, 2, 1)  # (half of a group, lane, tap)
        self.shape = MacShape(
            inputs=self.pair.filter_taps,
            x_bits=stage.input.bits,
            x_signed=stage.input.signed,
            w_bits=signed_bits(words),
            acc_bits=stage.requantizer.acc_bits,
            accumulate=False,
            field=stage.pair_field,
            pixels=True,
            cascade=stage.cascaded,
        )
        self.columns.add(self.shape)
        self.weights = rom_image(
            f"{stage.name}_weights", self.memory("weights"), [field_bits(words, self.shape.w_bits)]
        )
        self.requantizer = convolution_requantizer(stage, node, x, self.shape.acc_bits)
        self.roms = [self.weights, *self.requantizer.roms]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage, shape = self.stage, self.shape
        advance, fire, upper = Signal(), Signal(), Signal()
        m.d.comb += [
            fire.eq(advance & (self.input0.valid | upper)),
            self.input0.ready.eq(advance & ~upper),
        ]
        windows = Signal(stage.input.beat_bits, reset_less=True)
        address = counter(self.weights.depth, "address")
        with m.If(fire):
            m.d.sync += [upper.eq(~upper), address.eq(next_in(address, self.weights.depth))]
            with m.If(~upper):
                m.d.sync += windows.eq(self.input0.payload)
        word = read_rom(m, self.weights, enable=advance, address=address)
        now = delayed(m, upper, 1, advance, "now")
        sums: list[list[Value]] = [[], []]
        for lane in range(stage.step_lanes):
            both = Signal(2 * shape.acc_bits, name=f"sums{lane}")
            m.submodules[f"column{lane}"] = Instance(
                shape.name,
                i_clk=ClockSignal(),
                i_rst=ResetSignal(),
                i_enable=advance,
                i_x=Cat(self._codes(windows, now, lane, pixel) for pixel in range(2)),
                i_w=word.word_select(lane, shape.inputs * shape.w_bits),
                o_acc=both,
            )
            for pixel in range(2):
                sums[pixel].append(both.word_select(pixel, shape.acc_bits))
        m.submodules.requantizer = requantizer = self.requantizer
        m.d.comb += [
            requantizer.enable.eq(advance),
            requantizer.valid.eq(delayed(m, fire, 1 + shape.latency, advance, "valid")),
            requantizer.acc.eq(Cat(*sums[0], *sums[1])),
        ]
        room = self._in_order(m, advance)
        m.d.comb += advance.eq(room)
        return m

    def _codes(self, windows: Signal, upper: Value, lane: int, pixel: int) -> Value:
        """What the multipliers of a lane take of a pixel, in the lower or the upper half of the beat."""
        lanes, half = self.stage.input.lanes, self.stage.step_lanes
        halves = [
            Cat(windows.word_select(tap * lanes + first + lane, self.shape.x_bits) for tap in self.pair.taps_of(pixel))
            for first in (0, half)
        ]
        return Array(halves)[upper]

    def _in_order(self, m: Module, advance: Value) -> Value:
        """Joins halves to beats, and lets one pixel leave behind the other; gives whether the pipeline may move."""
        codes, valid = self.requantizer.codes, self.requantizer.output_valid
        half = len(codes) // 2
        second_half = Signal()
        kept = Signal(len(codes), reset_less=True)
        with m.If(advance & valid):
            m.d.sync += [second_half.eq(~second_half), kept.eq(codes)]
        fifos = [StreamFifo(2 * half, depth) for depth in waiting_beats(self.stage.input.groups)]
        room = fifos[0].input.ready & fifos[1].input.ready
        for pixel, fifo in enumerate(fifos):
            m.submodules[f"waiting{pixel}"] = fifo
            m.d.comb += [
                fifo.input.payload.eq(Cat(kept.word_select(pixel, half), codes.word_select(pixel, half))),
                fifo.input.valid.eq(valid & second_half & room),
            ]
        first, second = fifos
        place, is_second = counter(self.stage.output.groups, "place"), Signal()
        m.d.comb += [
            self.output0.payload.eq(Mux(is_second, second.output.payload, first.output.payload)),
            self.output0.valid.eq(Mux(is_second, second.output.valid, first.output.valid)),
            first.output.ready.eq(self.output0.ready & ~is_second),
            second.output.ready.eq(self.output0.ready & is_second),
        ]
        with m.If(self.output0.valid & self.output0.ready):
            m.d.sync += place.eq(next_in(place, self.stage.output.groups))
            with m.If(place == self.stage.output.groups - 1):
                m.d.sync += is_second.eq(~is_second)
        return ~(valid & second_half) | room
