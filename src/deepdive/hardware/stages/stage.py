"""The one contract of every stage: streams in, streams out, cycles a frame, multipliers, memories, resources."""

from __future__ import annotations

from abc import abstractmethod
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from deepdive.hardware.memory import Memory, total
from deepdive.hardware.resources import Resources
from deepdive.hardware.stream import Stream

PIPELINE_CYCLES = 16
"""Clock cycles from a stage's input beat to the output beat that depends on it, at most (the loop's iteration
latency): a multiplier takes 3-4, an adder tree of 576 inputs 5-10 at two levels a cycle, the requantizer 5. A stage
whose pipeline stalls may hold as many beats."""

SHIFT_BITS = 3
"""Bits of a channel's shift beyond the least one."""


class Stage(BaseModel):
    """A hardware process that runs for ever, one step a clock cycle (II = 1).

    A stage holds its folding and shapes, never weights: those are looked up in the network by `node` when a backend
    writes the hardware.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")

    @property
    @abstractmethod
    def inputs(self) -> tuple[Stream, ...]:
        """Streams read, in port order."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[Stream, ...]:
        """Streams written, in port order."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the network's nodes that the stage computes."""
        node = getattr(self, "node", None)
        return (node,) if node is not None else ()

    @property
    @abstractmethod
    def interval_cycles(self) -> int:
        """Clock cycles a frame in steady state, never stalled: the trip count of the stage's one loop."""

    @property
    def fill_beats(self) -> int:
        """Beats of the first input that are taken before the first output beat can be written, that beat included."""
        return 1

    @property
    def drain_cycles(self) -> int:
        """Steps left when the last input beat of the last frame has been taken."""
        return 0

    @property
    def pause_cycles(self) -> int:
        """Clock cycles without an output beat between two frames that come back to back: those of the stage itself."""
        return 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates a frame that the network asks for."""
        return 0

    @property
    def multipliers(self) -> int:
        """Multiply-accumulates a clock cycle."""
        return 0

    @property
    def has_cascades(self) -> bool:
        """Whether its multipliers are instances of DSPs, which sum their products."""
        return bool(getattr(self, "cascade", False))

    @property
    def weight_bits_total(self) -> int:
        """Bits of weights, on chip or not."""
        return 0

    @property
    def memories(self) -> tuple[Memory, ...]:
        """Every memory of the stage, banked as its ports need."""
        return ()

    @property
    def rtl_memories(self) -> tuple[Memory, ...]:
        """The same in RTL, which may join some."""
        return self.memories

    def rtl_memory(self, name: str) -> Memory:
        """That of this name in RTL."""
        return next(memory for memory in self.rtl_memories if memory.name == name)

    @property
    def external_bytes(self) -> int:
        """Bytes a frame read from external memory."""
        return 0

    @abstractmethod
    def resources(self) -> Resources:
        """Modelled cost of the stage without its FIFOs."""

    def rtl_resources(self) -> Resources:
        """The same in RTL."""
        return without_memories(self) + total(self.rtl_memories)


@lru_cache(maxsize=1 << 15)
def without_memories(stage: Stage) -> Resources:
    """What a stage costs besides its memories."""
    all_of_it, memories = stage.resources(), total(stage.memories)
    return Resources(
        dsp=all_of_it.dsp,
        lut=all_of_it.lut - memories.lut,
        ff=all_of_it.ff,
        bram36=all_of_it.bram36 - memories.bram36,
        uram=all_of_it.uram - memories.uram,
    )


class Pipe(Stage):
    """A stage with one stream in and one out."""

    input: Stream
    output: Stream

    @property
    def inputs(self) -> tuple[Stream, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return (self.output,)


class Join(Stage):
    """A stage that makes one stream of two, a beat of the output a step."""

    input_a: Stream
    input_b: Stream
    output: Stream

    @property
    def inputs(self) -> tuple[Stream, ...]:
        return self.input_a, self.input_b

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return (self.output,)

    @property
    def interval_cycles(self) -> int:
        return self.output.beats


class Requantizer(BaseModel):
    """How a stage turns accumulators into codes, as far as hardware cost depends on it.

    `per_channel` says whether mult and shift differ by output channel; `acc_bits` is proven from the weights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    acc_bits: int = Field(ge=2, le=33)
    mult_bits: int = Field(ge=1, le=16)
    per_channel: bool = True
    rounding: Literal["half_up", "floor", "half_even"] = "half_up"

    def scales(self, output: Stream, *, bias: bool) -> Memory | None:
        """ROM of bias, mult and shift, `output.lanes` channels a word; None when nothing differs.

        A shift is held as what it has more than the least one: 3 bits, a factor of 256 between the channels' scales.
        """
        word = (self.acc_bits if bias else 0) + (self.mult_bits + SHIFT_BITS if self.per_channel else 0)
        if not word:
            return None
        return Memory(name="scales", depth=output.groups, width=output.lanes * word, read_only=True)

    def resources(self, output: Stream) -> Resources:
        """Modelled cost of `output.lanes` requantizers.

        A DSP48E2 multiplies 27 x 18 bits (UG579): one while the accumulator has at most 27 bits, else two. The bias is
        an adder of the accumulator's bits. Shifting leaves few bits more than a code has, so the barrel shifter, where
        the shift differs by channel, rounding, zero point and clip are all of the output's width (fitted). With one
        scale for all channels the bias is a constant as well, and costs no LUT in front of the carry chain.
        """
        product = self.acc_bits + self.mult_bits
        lut = self.acc_bits + 27 * output.bits // 8 if self.per_channel else 2 * output.bits
        dsp = 1 if self.acc_bits <= 27 else 2
        return Resources(dsp=dsp * output.lanes, lut=lut * output.lanes, ff=(product + 2 * output.bits) * output.lanes)
