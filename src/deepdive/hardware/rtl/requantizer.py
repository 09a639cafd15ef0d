"""Requantization: ``clip((((acc + bias) * mult + half) >> shift) + zero_point, q_min, q_max)``, a beat a cycle."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from deepdive.hardware.constants import Scales, convolution_scales
from deepdive.hardware.memory import Memory, Storage
from deepdive.hardware.rtl.counters import counter, next_in
from deepdive.hardware.rtl.memories import RomImage, field_bits, read_rom, rom_image
from deepdive.hardware.stages import Dense, Depthwise
from deepdive.hardware.stream import Stream
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops import Conv, Linear, Requantize

LATENCY = 5
"""Enabled cycles from an accumulator to its code."""


@dataclass(frozen=True)
class Accumulators:
    """What comes in: `bits` wide, without bias, a lane of `output` each; with the bias it lies within `span`."""

    output: Stream
    bits: int
    span: tuple[int, int]

    def __post_init__(self) -> None:
        low, high = self.span
        if low < -(1 << (self.bits - 1)) or high >= 1 << (self.bits - 1):
            raise ValueError(f"'{self.output.name}': {self.bits} bits do not hold accumulators {low}..{high}")


@dataclass(frozen=True, eq=False)
class Rescaling:
    """What comes out, and the constants that lead there, (groups, lanes) of each."""

    type: FeatureMap
    how: Requantize
    scales: Scales

    @property
    def mult_bits(self) -> int:
        return max(1, int(self.scales.mult.max()).bit_length())

    @cached_property
    def right(self) -> np.ndarray:
        """int64: how far the product is shifted before the rounding bit, if any, is dropped.

        A product with 0 is 0 however far it is shifted, so those channels shift as little as the others do.
        """
        shift, used = self.scales.shift, self.scales.mult > 0
        if used.any():
            shift = np.where(used, shift, shift[used].min())
        return shift if self.how.rounding == "floor" else shift - 1

    @property
    def least_right(self) -> int:
        return int(self.right.min())

    @property
    def right_bits(self) -> int:
        """Bits of the part of the shift that differs by channel; 0 when all channels shift alike."""
        return int(self.right.max() - self.right.min()).bit_length()

    def shifted_bits(self, span: tuple[int, int]) -> int:
        """Bits of the widest shifted product of an accumulator within `span`."""
        pairs = {(int(m), int(r)) for m, r in zip(self.scales.mult.flat, self.right.flat, strict=True)}
        ends = [end * mult >> right for end in span for mult, right in pairs]
        return max(2, 1 + max((end if end >= 0 else ~end).bit_length() for end in ends))


class RequantizerComponent(wiring.Component):
    """`lanes` requantizers and the ROM of their constants; where a word has those of fewer lanes, they repeat.

    Attributes
    ----------
    enable
        The pipeline moves.
    valid, acc
        A beat of accumulators without their bias, in order of the channels, frame after frame.
    output_valid, codes
        `LATENCY` enabled cycles later: the beat of codes. Both are registers.
    """

    def __init__(self, acc: Accumulators, rescaling: Rescaling, name: str, storage: Storage = "auto") -> None:
        output = acc.output
        super().__init__(
            {
                "enable": In(1),
                "valid": In(1),
                "acc": In(output.lanes * acc.bits),
                "output_valid": Out(1),
                "codes": Out(output.lanes * output.bits),
            }
        )
        self.source, self.rescaling = acc, rescaling
        scales = rescaling.scales
        fields = [(scales.bias, acc.bits), (scales.mult, rescaling.mult_bits)]
        if rescaling.right_bits:
            fields.append((rescaling.right - rescaling.least_right, rescaling.right_bits))
        self.widths = [width for _, width in fields]
        self.lanes = scales.bias.shape[1]
        bits = [field_bits(values[:, [lane]], width) for lane in range(self.lanes) for values, width in fields]
        if all((part == part[0]).all() for part in bits):  # one word for all channels: a constant, no ROM
            bits = [part[:1] for part in bits]
        width = self.lanes * sum(self.widths)
        memory = Memory(name="scales", depth=len(bits[0]), width=width, read_only=True, storage=storage)
        self.image: RomImage = rom_image(f"{name}_scales", memory, bits)

    @property
    def roms(self) -> list[RomImage]:
        """The image to write, if there is more than one word of constants."""
        return [self.image] if self.image.depth > 1 else []

    def elaborate(self, platform: object) -> Module:
        m = Module()
        source, valid = self.source, self.valid
        constants = self._constants(m)
        acc = Signal.like(self.acc, reset_less=True, name="acc_r")
        with m.If(self.enable):
            m.d.sync += acc.eq(self.acc)
        codes = []
        for lane in range(source.output.lanes):
            word = constants.word_select(lane % self.lanes, sum(self.widths))
            codes.append(self._lane(m, lane, acc.word_select(lane, source.bits), word))
        m.d.comb += self.codes.eq(Cat(codes))
        for step in range(LATENCY):
            register = self.output_valid if step == LATENCY - 1 else Signal(name=f"valid_{step + 1}")
            with m.If(self.enable):
                m.d.sync += register.eq(valid)
            valid = register
        return m

    def _constants(self, m: Module) -> Value:
        """The word of the beat whose accumulators stand in the first register."""
        if self.image.depth == 1:
            return C(int("".join(str(bit) for bit in self.image.bits[0][::-1]), 2), self.image.width)
        return read_rom(m, self.image, enable=self.enable, address=self._address(m))

    def _address(self, m: Module) -> Value:
        """The row of constants of the beat that comes in: the rows take turns."""
        group = counter(self.image.depth, "group")
        with m.If(self.enable & self.valid):
            m.d.sync += group.eq(next_in(group, self.image.depth))
        return group

    def _lane(self, m: Module, lane: int, acc: Value, word: Value) -> Signal:
        source, rescaling = self.source, self.rescaling
        bias, mult, *right = split(word, self.widths)
        offset = rescaling.type.uniform_zero_point
        low, high = rescaling.how.q_min, rescaling.how.q_max
        product_bits = source.bits + rescaling.mult_bits
        total = Signal(signed(source.bits), name=f"total{lane}", reset_less=True)
        mult_r = Signal(rescaling.mult_bits, name=f"mult{lane}", reset_less=True)
        product = Signal(signed(product_bits), name=f"product{lane}", reset_less=True)
        shifted = Signal(signed(rescaling.shifted_bits(source.span)), name=f"shifted{lane}", reset_less=True)
        code = Signal(source.output.bits, name=f"code{lane}", reset_less=True)
        right_1, right_2 = (
            Signal(max(rescaling.right_bits, 1), name=f"right{lane}_{step}", reset_less=True) for step in (1, 2)
        )
        scaled = product[min(rescaling.least_right, product_bits - 1) :].as_signed()
        if right:
            scaled = scaled >> right_2
        result = shifted + offset if rescaling.how.rounding == "floor" else (shifted + 1 + 2 * offset) >> 1
        if rescaling.how.rounding == "half_even":
            below = Signal(name=f"below{lane}", reset_less=True)  # whether any bit below the shifted ones is set
            least = product[min(rescaling.least_right, product_bits - 1) :].as_signed()
            lost = ((scaled << right_2) != least) if right else C(0, 1)
            with m.If(self.enable):
                m.d.sync += below.eq(product[: min(rescaling.least_right, product_bits - 1)].any() | lost)
            up = (shifted + 1) >> 1
            result = Mux(shifted[0] & ~below, up & ~1, up) + offset
        with m.If(self.enable):
            m.d.sync += [
                total.eq(acc + bias),
                mult_r.eq(mult),
                product.eq(total * mult_r),
                shifted.eq(scaled),
                code.eq(Mux(result < low, low, Mux(result > high, high, result))),
            ]
            if right:
                m.d.sync += [right_1.eq(right[0]), right_2.eq(right_1)]
        return code


def split(word: Value, widths: list[int]) -> list[Value]:
    """The fields of a word, the first one lowest."""
    fields, start = [], 0
    for width in widths:
        fields.append(word[start : start + width])
        start += width
    return fields


def convolution_requantizer(
    stage: Dense | Depthwise, node: Conv | Linear, x: FeatureMap, acc_bits: int
) -> RequantizerComponent:
    """That of a stage whose multipliers read `x`.

    Its constants take fewer bits than the contract allows for them, but lie where the contract has them.
    """
    storage: Storage = next((memory.style for memory in stage.memories if memory.name == "scales"), "auto")
    source = Accumulators(stage.output, acc_bits, node.acc_range(x))
    rescaling = Rescaling(node.output, node.requantize, convolution_scales(stage, node, x))
    return RequantizerComponent(source, rescaling, stage.name, storage)
