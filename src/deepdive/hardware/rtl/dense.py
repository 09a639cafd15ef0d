"""Dense in RTL: pointwise, k x k and fully connected layers on one array of multipliers."""

from __future__ import annotations

from amaranth.hdl import Cat, ClockSignal, Instance, Module, Mux, ResetSignal, Signal, Value

from deepdive.errors import DeepDiveError
from deepdive.hardware.constants import convolution_scales, dense_weights
from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.counters import counter, delayed, next_in
from deepdive.hardware.rtl.mac_column import MacShape
from deepdive.hardware.rtl.memories import add_ram, address_bits, field_bits, read_rom, rom_image, signed_bits
from deepdive.hardware.rtl.requantizer import Accumulators, RequantizerComponent, Rescaling
from deepdive.hardware.stages.dense import Dense
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops import Conv


class DenseComponent(StageComponent):
    """`out_parallel` columns of `input.taps * input.lanes` multipliers, a weight word a cycle, shared requantizers.

    For every pixel, for every group of output channels, for every group of input lanes: one step. The zero point of
    the input is folded into the bias, so codes go to the multipliers as they are.
    """

    def __init__(self, stage: Dense, node: Conv, x: FeatureMap) -> None:
        super().__init__(stage)
        if stage.weights == "external":
            raise DeepDiveError(f"'{stage.name}' reads its weights from external memory; RTL holds them on chip only.")
        self.stage = stage
        words = dense_weights(stage, node).transpose(0, 2, 1)  # (step, column, operand)
        self.shape = MacShape(
            inputs=stage.input.taps * stage.input.lanes,
            x_bits=stage.input.bits,
            x_signed=stage.input.signed,
            w_bits=signed_bits(words),
            acc_bits=stage.requantizer.acc_bits,
            accumulate=stage.input.groups > 1,
        )
        self.columns.add(self.shape)
        memory = self.memory("weights")
        self.weights = rom_image(f"{stage.name}_weights", memory, [field_bits(words, self.shape.w_bits)])
        self.requantizer = RequantizerComponent(
            Accumulators(stage.output, self.shape.acc_bits, node.acc_range(x)),
            Rescaling(node.output, node.requantize, convolution_scales(stage, node, x)),
            stage.name,
        )
        self.roms = [self.weights, *self.requantizer.roms]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage, shape = self.stage, self.shape
        advance, fire = Signal(), Signal()
        m.d.comb += advance.eq(~self.output0.valid | self.output0.ready)
        in_group, out_group = counter(stage.input.groups, "in_group"), counter(stage.out_groups, "out_group")
        fresh, first, last = Signal(), Signal(), Signal()
        m.d.comb += [
            fresh.eq(out_group == 0),
            first.eq(in_group == 0),
            last.eq(in_group == stage.input.groups - 1),
            fire.eq(advance & (~fresh | self.input0.valid)),
            self.input0.ready.eq(advance & fresh),
        ]
        with m.If(fire):
            m.d.sync += in_group.eq(next_in(in_group, stage.input.groups))
            with m.If(last):
                m.d.sync += out_group.eq(next_in(out_group, stage.out_groups))
        pixel = self._pixel(m, advance, fire & fresh, in_group, fresh)
        word = self._weights(m, advance, fire)
        # One step behind `fire` stand pixel and weights; `sum_latency` later their sum; then the accumulator.
        sums = 1 + shape.sum_latency
        add = delayed(m, fire, sums, advance, "add")
        clear = delayed(m, first, sums, advance, "clear")
        done = delayed(m, fire & last, 1 + shape.latency, advance, "done")
        columns = self._columns(m, advance, pixel, word, add, clear)
        self._drain(m, advance, done, columns)
        return m

    def _pixel(self, m: Module, advance: Value, take: Value, group: Signal, fresh: Value) -> Value:
        """The beat of the step before: from the stream, or read back for a later group of output channels."""
        stage = self.stage
        beat = Signal(stage.input.beat_bits, reset_less=True)
        if stage.out_groups == 1 or stage.input.groups == 1:
            with m.If(take):
                m.d.sync += beat.eq(self.input0.payload)
            return beat
        kept = add_ram(m, self.memory("pixel"))
        was_fresh = delayed(m, fresh, 1, advance, "fresh")
        m.d.comb += [
            kept.write_enable.eq(take),
            kept.write_address.eq(group),
            kept.write_data.eq(self.input0.payload),
            kept.read_enable.eq(advance),
            kept.read_address.eq(group),
        ]
        with m.If(advance):
            m.d.sync += beat.eq(self.input0.payload)
        return Mux(was_fresh, beat, kept.read_data)

    def _weights(self, m: Module, advance: Value, fire: Value) -> Signal:
        """The weight word of the step before."""
        address = Signal(address_bits(self.weights.depth), name="address")
        if self.weights.depth > 1:
            with m.If(fire):
                m.d.sync += address.eq(next_in(address, self.weights.depth))
        return read_rom(m, self.weights, enable=advance, address=address)

    def _columns(self, m: Module, advance: Value, pixel: Value, word: Signal, add: Value, clear: Value) -> list[Signal]:
        """The multiplier array: the accumulator of each column."""
        width = self.shape.inputs * self.shape.w_bits
        accumulators = []
        for column in range(self.stage.out_parallel):
            acc = Signal(self.shape.acc_bits, name=f"acc{column}")
            control = {"i_add": add, "i_clear": clear} if self.shape.accumulate else {}
            m.submodules[f"column{column}"] = Instance(
                self.shape.name,
                i_clk=ClockSignal(),
                i_rst=ResetSignal(),
                i_enable=advance,
                i_x=pixel,
                i_w=word[column * width : (column + 1) * width],
                o_acc=acc,
                **control,
            )
            accumulators.append(acc)
        return accumulators

    def _drain(self, m: Module, advance: Value, done: Value, columns: list[Signal]) -> None:
        """Finished accumulators go through the requantizers, `output.lanes` a step, while the next ones grow."""
        stage = self.stage
        m.submodules.requantizer = requantizer = self.requantizer
        m.d.comb += [
            requantizer.enable.eq(advance),
            self.output0.valid.eq(requantizer.output_valid),
            self.output0.payload.eq(requantizer.codes),
        ]
        beat = stage.output.lanes * self.shape.acc_bits
        turns = stage.out_parallel // stage.output.lanes
        finished = Cat(columns)
        if turns == 1:
            m.d.comb += [requantizer.valid.eq(done), requantizer.acc.eq(finished)]
            return
        waiting = Signal((turns - 1) * beat, reset_less=True)
        left = Signal(range(turns))
        m.d.comb += [
            requantizer.valid.eq(done | (left != 0)),
            requantizer.acc.eq(Mux(done, finished[:beat], waiting[:beat])),
        ]
        with m.If(advance):
            with m.If(done):
                m.d.sync += [waiting.eq(finished[beat:]), left.eq(turns - 1)]
            with m.Elif(left != 0):
                m.d.sync += [waiting.eq(waiting >> beat), left.eq(left - 1)]
