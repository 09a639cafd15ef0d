"""Dense: pointwise, k x k and fully connected layers on one array of multipliers."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from deepdive.hardware.memory import Memory, total
from deepdive.hardware.resources import Resources
from deepdive.hardware.stages.arithmetic import MOST_FIELD_BITS, WIDE_BITS, Column, field_terms
from deepdive.hardware.stages.external import PORT, READ_AHEAD, WORD_BITS
from deepdive.hardware.stages.stage import Pipe, Requantizer


class Dense(Pipe):
    """`input.taps * input.lanes` inputs times `out_parallel` output channels a cycle.

    For every pixel: for every group of `out_parallel` output channels: for every group of input lanes: one step.
    The first output group reads the pixel from the stream and keeps it; later groups read it back. A finished group
    of accumulators is requantized `output.lanes` channels a step while the next group accumulates, so
    ``input.groups * output.lanes >= out_parallel`` and the requantizers are shared.

    A grouped convolution (`conv_groups` > 1, not depthwise) runs as a dense one whose weights are filled up with zeros.
    With a `pair_field` two output channels share DSPs, ``((w1 << pair_field) + w0) * x`` holding both products, and an
    adder tree that adds both at once, taken apart once per `packed_terms` inputs; 0: each channel has its own. With
    `fabric` the multipliers are made of LUTs, with `cascade` the others are instances of DSPs that sum their products
    themselves, as `summing` says; C++ has none.
    Weights lie on chip (block RAM or, when shallow, LUTs), on chip in LUTs (`distributed`), or are read from external
    memory in the order of use, one word a step (`external`).

    The last output group of a pixel is requantized while the next pixel is read. With `drains` it is before: a pixel
    costs as many steps more, and nothing of it waits for the next one.
    """

    kind: Literal["conv", "pointwise", "linear"]
    node: str
    out_parallel: int = Field(ge=1)
    weight_bits: int = Field(ge=2, le=9)
    requantizer: Requantizer
    weights: Literal["on_chip", "distributed", "external"] = "on_chip"
    conv_groups: int = Field(default=1, ge=1)
    drains: bool = False
    pair_field: int = Field(default=0, ge=0, le=MOST_FIELD_BITS)
    fabric: bool = False
    cascade: bool = False

    @model_validator(mode="after")
    def _folding(self) -> Dense:
        if self.output.channels % self.out_parallel or self.out_parallel % self.output.lanes:
            raise ValueError(
                f"stage '{self.name}': out_parallel {self.out_parallel} must divide {self.output.channels} channels "
                f"and be a multiple of {self.output.lanes} lanes"
            )
        if self.input.groups * self.output.lanes < self.out_parallel:
            raise ValueError(f"stage '{self.name}': {self.output.lanes} requantizers cannot follow the accumulators")
        if (self.input.height, self.input.width) != (self.output.height, self.output.width) or self.output.taps != 1:
            raise ValueError(f"stage '{self.name}': input and output maps differ in size")
        if self.pair_field and not (self.packed_terms and self.pair_field + self.weight_bits < WIDE_BITS):
            raise ValueError(
                f"stage '{self.name}': two products of {self.weight_bits}-bit weights do not share a multiplier "
                f"{self.pair_field} bits apart"
            )
        if self.pair_field and self.fabric:
            raise ValueError(f"stage '{self.name}': multipliers of LUTs share nothing; take away pair_field or fabric")
        return self

    @property
    def out_groups(self) -> int:
        """Groups of output channels, one after the other."""
        return self.output.channels // self.out_parallel

    @property
    def interval_cycles(self) -> int:
        turns = self.out_parallel // self.output.lanes if self.drains else 0
        return self.output.height * self.output.width * (self.input.groups * self.out_groups + turns)

    @property
    def fill_beats(self) -> int:
        return self.input.groups

    @property
    def drain_cycles(self) -> int:
        """The last pixel's later output groups, then the requantizers' turns for the last of them."""
        return self.input.groups * (self.out_groups - 1) + self.out_parallel // self.output.lanes - 1

    @property
    def pause_cycles(self) -> int:
        """A turn's sums come in a row; the next ones when they are summed up."""
        return self.input.groups - (0 if self.drains else self.out_parallel // self.output.lanes)

    @property
    def macs(self) -> int:
        weights = self.input.taps * self.input.map_channels * self.output.map_channels
        return self.output.height * self.output.width * weights // self.conv_groups

    @property
    def multipliers(self) -> int:
        return self.input.taps * self.input.lanes * self.out_parallel

    @property
    def packed(self) -> bool:
        """Whether two output channels share a multiplier; an odd last one has its own."""
        return self.pair_field > 0 and self.out_parallel > 1

    @property
    def cascaded(self) -> bool:
        """Whether it has DSPs that sum their products."""
        return self.cascade and not self.fabric

    @property
    def packed_terms(self) -> int:
        """Products whose sum fits the lower of two packed fields."""
        return field_terms(self.pair_field, self.input.bits, self.input.signed, self.weight_bits)

    @property
    def weight_count(self) -> int:
        """Weights held, those that only fill up groups included."""
        return self.input.taps * self.input.channels * self.output.channels

    @property
    def weight_bits_total(self) -> int:
        return self.weight_count * self.weight_bits

    @property
    def external_bytes(self) -> int:
        pixels = self.output.height * self.output.width
        return pixels * self.weight_bits_total // 8 if self.weights == "external" else 0

    @property
    def weight_word_bits(self) -> int:
        """Bits of the weights used in one step."""
        return self.multipliers * self.weight_bits

    @property
    def weight_steps(self) -> int:
        """Words of weights, one a step of a pixel."""
        return self.input.groups * self.out_groups

    @property
    def memories(self) -> tuple[Memory, ...]:
        """The weights, one word a step, or what is read ahead of them; bias, mult and shift; the pixel that later
        output groups read again."""
        ahead = Memory(name="ahead", depth=READ_AHEAD, width=WORD_BITS, storage="block")
        rom = Memory(
            name="weights",
            depth=self.weight_steps,
            width=self.weight_word_bits,
            read_only=True,
            storage="distributed" if self.weights == "distributed" else "auto",
        )
        scales = self.requantizer.scales(self.output, bias=True)
        pixel = Memory(name="pixel", depth=self.input.groups, width=self.input.beat_bits)
        return (
            ahead if self.weights == "external" else rom,
            *((scales,) if scales else ()),
            *((pixel,) if self.out_groups > 1 else ()),
        )

    def resources(self) -> Resources:
        """Memories, requantizers, and columns of multipliers: a DSP48E2 each, two that share one, or LUTs.

        Where a pixel takes several steps, each column has an accumulator. Finished accumulators wait in a register that
        shifts to the requantizers; later output groups choose between the stream and the kept pixel: a multiplexer a
        bit for each. Flip-flops are those of the adders and accumulators: registers beside a multiplier lie in its DSP,
        or behind its LUTs; and those in which operands wait for their turn in a cascade. External weights take an AXI
        master.
        """
        inputs = self.input.taps * self.input.lanes
        columns = math.ceil(self.out_parallel / 2) if self.packed else self.out_parallel
        acc_bits = self.requantizer.acc_bits
        column = Column(inputs, self.input.bits, self.weight_bits, acc_bits)
        terms = self.packed_terms if self.packed else 0
        if self.packed:
            luts = column.pair_luts(self.pair_field, terms, cascade=self.cascaded)
        else:
            luts = column.luts(fabric=self.fabric, cascade=self.cascaded)
        adders = math.ceil(columns * luts)
        late = columns * column.waiting(terms) if self.cascaded else 0
        sums = (2 if self.packed else 1) * columns * acc_bits if self.input.groups > 1 else 0
        waiting = self.out_parallel * acc_bits if self.out_parallel > self.output.lanes else 0
        again = self.input.beat_bits if self.out_groups > 1 and self.input.groups > 1 else 0
        own = Resources(
            dsp=0 if self.fabric else inputs * columns,
            lut=adders + sums + waiting + again + 30,
            ff=adders + sums + waiting + late + self.input.beat_bits + 60,
        )
        master = PORT if self.weights == "external" else Resources()
        return own + master + self.requantizer.resources(self.output) + total(self.memories)
