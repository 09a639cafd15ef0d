"""A compute unit: a chain of stages joined by FIFOs, with one stream in and one out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deepdive.hardware.resources import Resources
from deepdive.hardware.stages import AnyStage
from deepdive.hardware.stages.stage import Stage
from deepdive.hardware.stream import Stream

UnitKind = Literal["head", "body", "tail", "classifier"]


class Unit(BaseModel):
    """Stages in order of the data flow; every stream inside has one writer and one reader.

    Parameters
    ----------
    blocks
        Names of the network's nodes that the unit computes, in order; the last one's output is the unit's.
    input_map
        Name of the feature map that the unit reads.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kind: UnitKind
    input_map: str
    blocks: tuple[str, ...] = Field(min_length=1)
    stages: tuple[AnyStage, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _streams(self) -> Unit:
        check_unique(f"unit '{self.name}': stages", [stage.name for stage in self.stages])
        ends(self.name, self.stages)
        computed = [node for stage in self.stages for node in stage.nodes]
        if sorted(computed) != sorted(self.blocks):
            raise ValueError(f"unit '{self.name}' computes {sorted(computed)} but lists {sorted(self.blocks)}")
        return self

    @property
    def input(self) -> Stream:
        """The one stream that no stage of the unit writes."""
        return ends(self.name, self.stages)[0]

    @property
    def output(self) -> Stream:
        """The one stream that no stage of the unit reads."""
        return ends(self.name, self.stages)[1]

    @property
    def output_map(self) -> str:
        """Name of the feature map that the unit writes."""
        return self.blocks[-1]

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Every stream that a stage of the unit writes, in order: the FIFOs that belong to it. The input is not one."""
        return tuple(stream for stage in self.stages for stream in stage.outputs)

    @property
    def bottleneck(self) -> Stage:
        """The slowest stage; the first of several."""
        return max(self.stages, key=lambda stage: stage.interval_cycles)

    @property
    def interval_cycles(self) -> int:
        """Clock cycles a frame: those of the slowest stage."""
        return self.bottleneck.interval_cycles

    @property
    def macs(self) -> int:
        """Multiply-accumulates a frame that the network asks for."""
        return sum(stage.macs for stage in self.stages)

    @property
    def multipliers(self) -> int:
        """Multiply-accumulates a clock cycle."""
        return sum(stage.multipliers for stage in self.stages)

    @property
    def weight_bits_total(self) -> int:
        """Bits of weights, on chip or not."""
        return sum(stage.weight_bits_total for stage in self.stages)

    @property
    def external_bytes(self) -> int:
        """Bytes a frame read from external memory."""
        return sum(stage.external_bytes for stage in self.stages)

    @property
    def resources(self) -> Resources:
        """Modelled cost of the stages and their FIFOs."""
        parts = [stage.resources() for stage in self.stages] + [stream.resources for stream in self.streams]
        return Resources.total(parts)

    @property
    def rtl_resources(self) -> Resources:
        """The same in RTL."""
        parts = [stage.rtl_resources() for stage in self.stages] + [stream.resources for stream in self.streams]
        return Resources.total(parts)


def ends(name: str, stages: Sequence[Stage]) -> tuple[Stream, Stream]:
    """The stream that no stage writes and the stream that no stage reads.

    Raises
    ------
    ValueError
        Naming the stream, when it is written or read twice, or before it is written, or is not the same at both ends,
        or when there is not exactly one input and one output.
    """
    written: dict[str, Stream] = {}
    read: dict[str, Stream] = {}
    for stage in stages:
        for stream in stage.inputs:
            if stream.name in read:
                raise ValueError(f"unit '{name}': stream '{stream.name}' has two readers; put a fork between")
            if written.get(stream.name, stream) != stream:
                raise ValueError(f"unit '{name}': stream '{stream.name}' differs between its writer and its reader")
            read[stream.name] = stream
        for stream in stage.outputs:
            if stream.name in written:
                raise ValueError(f"unit '{name}': stream '{stream.name}' has two writers")
            if stream.name in read:
                raise ValueError(f"unit '{name}': stream '{stream.name}' is read before it is written")
            written[stream.name] = stream
    inputs = [stream for key, stream in read.items() if key not in written]
    outputs = [stream for key, stream in written.items() if key not in read]
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            f"unit '{name}' has inputs {[s.name for s in inputs]} and outputs {[s.name for s in outputs]}; "
            "want one of each"
        )
    return inputs[0], outputs[0]


def check_unique(what: str, names: Sequence[str]) -> None:
    """Refuse a name that appears twice."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"{what} {twice} appear more than once; names must be unique")
