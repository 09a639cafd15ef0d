"""Dense in RTL: pointwise, k x k and fully connected layers on one array of multipliers."""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Mux, ResetSignal, Signal, Value

from deepdive.errors import DeepDiveError
from deepdive.hardware.constants import dense_weights
from deepdive.hardware.memory import Memory
from deepdive.hardware.rtl.axi import hand_through
from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.counters import counter, delayed, next_until
from deepdive.hardware.rtl.limits import Limits
from deepdive.hardware.rtl.mac_column import MacShape, handed_over
from deepdive.hardware.rtl.memories import RomImage, add_ram, address_bits, field_bits, read_rom, rom_image, signed_bits
from deepdive.hardware.rtl.memory_ports import memory_members
from deepdive.hardware.rtl.requantizer import convolution_requantizer
from deepdive.hardware.rtl.weight_reader import WeightReader
from deepdive.hardware.stages.dense import Dense
from deepdive.hardware.stages.external import ExternalWords
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops import Conv, Linear


def dense_limits(stage: Dense) -> dict[str, int]:
    """What the steps of a pixel count by."""
    return {
        "last_in": stage.input.groups - 1,
        "last_out": stage.out_groups - 1,
        "last_word": stage.input.groups * stage.out_groups - 1,
    }


def weight_words(stage: Dense, node: Conv | Linear) -> tuple[np.ndarray, int]:
    """The weights of a pixel, a row a step: uint8 (steps, width) of zeros and ones; and the bits of each of them."""
    words = dense_weights(stage, node).transpose(0, 2, 1)  # (step, column, operand)
    bits = max(stage.weight_bits, signed_bits(words))
    return field_bits(words, bits), bits


class DenseComponent(StageComponent):
    """`out_parallel` columns of `input.taps * input.lanes` multipliers, a weight word a cycle, shared requantizers.

    For every pixel, for every group of output channels, for every group of input lanes: one step. The zero point of
    the input is folded into the bias, so codes go to the multipliers as they are; signed ones, where these are made of
    LUTs, moved up by half their range (`moved_up`).
    """

    reader: WeightReader | None = None
    """Of weights in external memory; shared units bring theirs another way."""
    signs: int = 0
    """The bits of a beat that are inverted in front of the multipliers."""

    def __init__(self, stage: Dense, node: Conv, x: FeatureMap) -> None:
        super().__init__(stage, Limits([dense_limits(stage)]), memory_members(stage))
        self.stage = stage
        words, w_bits = weight_words(stage, node)
        inputs = stage.input.taps * stage.input.lanes
        x, self.signs = handed_over(x, stage.fabric, inputs)
        self.shape = MacShape(
            inputs=inputs,
            x_bits=stage.input.bits,
            x_signed=x.signed,
            w_bits=w_bits,
            acc_bits=stage.requantizer.acc_bits,
            accumulate=stage.input.groups > 1,
            field=stage.pair_field if stage.packed else 0,
            fabric=stage.fabric,
            cascade=stage.cascaded,
        )
        self.columns.add(self.shape)
        self.image = self._image(words)
        self.requantizer = convolution_requantizer(stage, node, x, self.shape.acc_bits)
        self.roms = list(self.requantizer.roms)
        if stage.weights == "external":
            self.reader = WeightReader(ExternalWords(*words.shape))
        else:
            self.roms.append(self.image)

    def _image(self, bits: np.ndarray) -> RomImage:
        """The weight words of a pixel: a ROM, or what external memory must hold."""
        name = f"{self.stage.name}_weights"
        if self.stage.weights != "external":
            return rom_image(name, self.memory("weights"), [bits])
        if bits.shape[1] != self.stage.weight_word_bits:
            raise DeepDiveError(f"'{self.stage.name}': its weights need {self.shape.w_bits} bits, more than declared.")
        return RomImage(name, bits, "external")

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.shape
        advance, fire = Signal(), Signal()
        m.d.comb += advance.eq(~self.output0.valid | self.output0.ready)
        limits, most = self.limits(), self.numbers.most
        in_group, out_group = counter(most("last_in") + 1, "in_group"), counter(most("last_out") + 1, "out_group")
        fresh, first, last = Signal(), Signal(), Signal()
        have_pixel, have_weights = Signal(name="have_pixel"), Signal(name="have_weights")
        fetch = self._fetches(m, advance, fire & last & (out_group == limits["last_out"]))
        m.d.comb += [
            fresh.eq(out_group == 0),
            first.eq(in_group == 0),
            last.eq(in_group == limits["last_in"]),
            have_pixel.eq(~fresh | (self.input0.valid & fetch)),
            fire.eq(advance & have_pixel & have_weights),
            self.input0.ready.eq(advance & fresh & have_weights & fetch),
        ]
        if self.reader:
            m.submodules.reader = reader = self.reader
            hand_through(m, self, self.image.name, reader)
            m.d.comb += [
                reader.base.eq(getattr(self, f"{self.image.name}_base")),
                reader.awake.eq(self.input0.valid),
                have_weights.eq(reader.output.valid),
                reader.output.ready.eq(advance & have_pixel),
            ]
        else:
            m.d.comb += have_weights.eq(1)
        with m.If(fire):
            m.d.sync += in_group.eq(next_until(in_group, limits["last_in"]))
            with m.If(last):
                m.d.sync += out_group.eq(next_until(out_group, limits["last_out"]))
        pixel = self._pixel(m, advance, fire & fresh, in_group, fresh)
        word = self._weights(m, advance, fire)
        # One step behind `fire` stand pixel and weights; `sum_latency` later their sum; then the accumulator.
        sums = 1 + shape.sum_latency
        add = delayed(m, fire, sums, advance, "add")
        clear = delayed(m, first, sums, advance, "clear")
        done = delayed(m, fire & last, 1 + shape.latency, advance, "done")
        finished = self._columns(m, advance, pixel, word, add, clear)
        self._drain(m, advance, done, finished)
        return m

    def _fetches(self, m: Module, advance: Value, pixel_done: Value) -> Value:
        """Whether a pixel may be read: with `drains` not while the requantizers' turns for the one before last."""
        if not self.stage.drains:
            return Const(1, 1)
        turns = self.stage.out_parallel // self.stage.output.lanes
        draining = Signal(range(turns + 1))
        with m.If(pixel_done):
            m.d.sync += draining.eq(turns)
        with m.Elif(advance & (draining != 0)):
            m.d.sync += draining.eq(draining - 1)
        return draining == 0

    def _pixel(self, m: Module, advance: Value, take: Value, group: Signal, fresh: Value) -> Value:
        """The beat of the step before: from the stream, or read back for a later group of output channels."""
        beat = Signal(self.stage.input.beat_bits, reset_less=True)
        if not self.numbers.most("last_in") or not self.numbers.most("last_out"):
            with m.If(take):
                m.d.sync += beat.eq(self.input0.payload)
            return beat
        depth = self.numbers.most("last_in") + 1
        kept = add_ram(m, Memory(name="pixel", depth=depth, width=self.stage.input.beat_bits))
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

    def _weights(self, m: Module, advance: Value, fire: Value) -> Value:
        """The weight word of the step before."""
        if self.reader:
            word = Signal(self.image.width, name="word", reset_less=True)
            with m.If(fire):
                m.d.sync += word.eq(self.reader.output.payload)
            return word
        steps = self.numbers.most("last_word") + 1
        address = Signal(address_bits(steps), name="address")
        if steps > 1:
            with m.If(fire):
                m.d.sync += address.eq(next_until(address, self.limits()["last_word"]))
        return self._word(m, advance, address)

    def _word(self, m: Module, advance: Value, address: Signal) -> Value:
        """The word of the step that had this address."""
        return read_rom(m, self.image, enable=advance, address=address)

    def _columns(self, m: Module, advance: Value, pixel: Value, word: Value, add: Value, clear: Value) -> Value:
        """The multiplier array: the accumulator of each column, the first lowest."""
        columns = self.shape.columns
        width = columns * self.shape.inputs * self.shape.w_bits
        accumulators = []
        for column in range(0, self.stage.out_parallel, columns):
            acc = Signal(columns * self.shape.acc_bits, name=f"acc{column}")
            # The last pair of an odd number of columns lacks its second one: its weights read as zeros.
            start = column // columns * width
            weights = Cat(word[start : start + width], Const(0, max(0, start + width - len(word))))
            control = {"i_add": add, "i_clear": clear} if self.shape.accumulate else {}
            m.submodules[f"column{column}"] = Instance(
                self.shape.name,
                i_clk=ClockSignal(),
                i_rst=ResetSignal(),
                i_enable=advance,
                i_x=pixel ^ self.signs if self.signs else pixel,
                i_w=weights,
                o_acc=acc,
                **control,
            )
            accumulators.append(acc)
        return Cat(accumulators)[: self.stage.out_parallel * self.shape.acc_bits]

    def _drain(self, m: Module, advance: Value, done: Value, finished: Value) -> None:
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
