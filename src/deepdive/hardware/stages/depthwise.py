"""Depthwise: one filter a channel, on windows."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from deepdive.hardware.memory import Memory, joining_luts, total
from deepdive.hardware.resources import Resources
from deepdive.hardware.stages.arithmetic import CODE_BITS, MOST_FIELD_BITS, WIDE_BITS, Column, field_terms
from deepdive.hardware.stages.pixel_pair import PixelPair, waiting_beats
from deepdive.hardware.stages.stage import Pipe, Requantizer
from deepdive.hardware.stages.taps import Taps, all_at_once
from deepdive.hardware.stream import Stream, fifo_resources


class Depthwise(Pipe):
    """`input.taps * input.lanes` multipliers: a step takes the windows of `lanes` channels and gives their outputs.

    For every pixel: for every group of lanes: one step. The weight word of group g holds (tap, lane), taps outermost,
    as the windows do. With `fabric` the multipliers are made of LUTs, else a DSP each; with `cascade` those are
    instances that sum their products themselves, as `summing` says; C++ has none.

    With `taps` only some taps are multiplied at once: a group takes several steps, each with a word of its own, and the
    sums grow in accumulators while the windows wait in a register.

    With a `pixel_pair` two neighbouring output pixels share DSPs, ``((x1 << pair_field) + x0) * w`` holding both
    products: a window holds what both need, and the input's map is half as wide. A beat takes two steps, half of its
    lanes each, so that half of the DSPs give as many codes a step; the weight words are those of half the lanes. Codes
    leave in order of the pixels, a beat a step, so those that come too early wait (`waiting_beats`): output beat n
    leaves ``input.groups + 1`` steps after the step n.
    """

    kind: Literal["depthwise"] = "depthwise"
    node: str
    weight_bits: int = Field(ge=2, le=9)
    requantizer: Requantizer
    fabric: bool = False
    cascade: bool = False
    taps: Taps | None = None
    pixel_pair: PixelPair | None = None
    pair_field: int = Field(default=0, ge=0, le=MOST_FIELD_BITS)

    @model_validator(mode="after")
    def _shapes(self) -> Depthwise:
        height, width, channels = self.input.shape
        wanted = height, width * self.pixels, channels
        if wanted != self.output.shape or self.input.lanes != self.output.lanes or self.output.taps != 1:
            raise ValueError(f"stage '{self.name}': windows {self.input.shape} do not fit output {self.output.shape}")
        if self.pixel_pair is None and len(self.folded.order) != self.input.taps:
            raise ValueError(f"stage '{self.name}': an order of {len(self.folded.order)} taps for {self.input.taps}")
        return self

    @model_validator(mode="after")
    def _pairs(self) -> Depthwise:
        pair, lanes = self.pixel_pair, self.input.lanes
        if pair is None:
            if self.pair_field:
                raise ValueError(f"stage '{self.name}': pair_field {self.pair_field} without a pixel_pair")
            return self
        if self.fabric or self.taps:
            raise ValueError(f"stage '{self.name}': a pair of pixels shares DSPs, all taps at once: no fabric, no taps")
        if pair.window_taps != self.input.taps:
            raise ValueError(f"stage '{self.name}': windows of {pair.window_taps} taps for {self.input.taps}")
        if lanes % 2:
            raise ValueError(f"stage '{self.name}': {lanes} lanes have no half; pairs of pixels want an even number")
        terms = field_terms(self.pair_field, CODE_BITS, False, self.weight_bits) if self.pair_field else 0
        if not (terms and self.pair_field + self.input.bits < WIDE_BITS):
            raise ValueError(
                f"stage '{self.name}': products of two {self.input.bits}-bit codes and a {self.weight_bits}-bit weight "
                f"do not share a multiplier {self.pair_field} bits apart"
            )
        return self

    @property
    def pixels(self) -> int:
        """Output pixels of a window."""
        return 2 if self.pixel_pair else 1

    @property
    def folded(self) -> Taps:
        """Which taps are multiplied when."""
        return self.taps or all_at_once(self.pixel_pair.filter_taps if self.pixel_pair else self.input.taps)

    @property
    def beat_steps(self) -> int:
        """Steps that an input beat takes."""
        return self.folded.steps * self.pixels

    @property
    def step_lanes(self) -> int:
        """Channels whose windows a step multiplies."""
        return self.input.lanes // self.pixels

    @property
    def scales_output(self) -> Stream:
        """The output's channels as the requantizers' constants come: `step_lanes` of them a word."""
        return self.output.model_copy(update={"lanes": self.step_lanes}) if self.pixel_pair else self.output

    @property
    def packed_terms(self) -> int:
        """Products whose sum fits the lower of two packed fields."""
        return field_terms(self.pair_field, self.input.bits, self.input.signed, self.weight_bits)

    @property
    def cascaded(self) -> bool:
        """Whether it has DSPs that sum their products."""
        return self.cascade and not self.fabric

    @property
    def interval_cycles(self) -> int:
        return self.input.beats * self.beat_steps

    @property
    def fill_beats(self) -> int:
        return (self.input.groups + 1) // 2 + 1 if self.pixel_pair else 1

    @property
    def drain_cycles(self) -> int:
        return self.input.groups + 2 if self.pixel_pair else self.folded.steps - 1

    @property
    def macs(self) -> int:
        return self.output.height * self.output.width * self.output.map_channels * len(self.folded.order)

    @property
    def multipliers(self) -> int:
        return self.folded.parallel * self.input.lanes

    @property
    def weight_bits_total(self) -> int:
        return sum(memory.bits for memory in self.memories if memory.name == "weights")

    @property
    def memories(self) -> tuple[Memory, ...]:
        """The weights of a step a word; bias, mult and shift."""
        width = self.folded.parallel * self.step_lanes * self.weight_bits
        rom = Memory(name="weights", depth=self.input.groups * self.beat_steps, width=width, read_only=True)
        scales = self.requantizer.scales(self.scales_output, bias=True)
        return (rom, *((scales,) if scales else ()))

    def resources(self) -> Resources:
        """A column of multipliers a lane, of LUTs or of a DSP48E2 each; requantizers, memories.

        Where taps take turns, a multiplexer a bit of a multiplier's code, and an accumulator a lane.
        """
        if self.pixel_pair:
            return self._pair_resources()
        column = Column(self.folded.parallel, self.input.bits, self.weight_bits, self.requantizer.acc_bits)
        adders = math.ceil(self.input.lanes * column.luts(fabric=self.fabric, cascade=self.cascaded))
        late = self.input.lanes * column.waiting() if self.cascaded else 0
        product = self.input.bits + self.weight_bits
        turns = self.folded.most_steps
        sums = self.input.lanes * self.requantizer.acc_bits if turns > 1 else 0
        choosing = self.multipliers * self.input.bits * joining_luts(turns)
        own = Resources(
            dsp=0 if self.fabric else self.multipliers,
            lut=adders + sums + choosing + 10,
            ff=(2 if self.fabric else 1) * product * self.multipliers + self.input.beat_bits + sums + late + 20,
        )
        return own + self.requantizer.resources(self.output) + total(self.memories)

    def _pair_resources(self) -> Resources:
        """Two columns that share their DSPs for each lane of a step; requantizers, memories, and what waits.

        A multiplexer a bit chooses the half of the windows. The codes of half a beat wait in registers for the other
        half, whole beats of either pixel in a FIFO of its own, and a multiplexer chooses whose turn it is.
        """
        column = Column(self.folded.parallel, self.input.bits, self.weight_bits, self.requantizer.acc_bits)
        terms = self.packed_terms
        luts = column.pixel_luts(self.pair_field, terms, x_signed=self.input.signed, cascade=self.cascaded)
        adders = math.ceil(self.step_lanes * luts)
        late = self.step_lanes * column.waiting(terms, pixels=True) if self.cascaded else 0
        own = Resources(
            dsp=self.folded.parallel * self.step_lanes,
            lut=adders + self.input.beat_bits // 2 + self.output.beat_bits + 20,
            ff=adders + self.input.beat_bits + self.output.beat_bits + late + 40,
        )
        fifos = [fifo_resources(self.output.beat_bits, depth, False) for depth in waiting_beats(self.input.groups)]
        return own + self.requantizer.resources(self.output) + total(self.memories) + Resources.total(fifos)
