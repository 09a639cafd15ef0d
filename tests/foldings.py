"""Designs with drawn foldings: any lanes and padding, repacks anywhere, weights in every place; more than the compiler
chooses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from deepdive.compiler.design import Design
from deepdive.compiler.options import LIGHT_PAIR_BITS
from deepdive.compiler.padding import alike
from deepdive.compiler.partition import partition, takes_two_columns
from deepdive.compiler.plan import DENSE, JOINS, Operation, UnitPlan, Way, lanes_of
from deepdive.hardware.boards import Board
from deepdive.hardware.stages import Repack, Stage
from deepdive.hardware.stages.arithmetic import pair_field, pixel_field
from deepdive.hardware.stream import Stream
from deepdive.hardware.units import Unit
from deepdive.qnet import QNet
from deepdive.qnet.fingerprint import fingerprint


def drawn_design(
    net: QNet, board: Board, seed: int, *, prefix: str = "", padded: float = 0.0, paired: float = 0.5
) -> Design:
    """The units of the compiler's partition, folded at random; `prefix` goes before the units' names.

    `padded` is the share of the maps, of those that can be padded, that travel with a few channels more than they have,
    `paired` that of the windows, of those that can, that hold what a pair of pixels needs.
    """
    rng = np.random.default_rng(seed)
    units: list[Unit] = []
    stream: Stream | None = None
    plans = partition(net, columns=1 + bool(takes_two_columns(net) and rng.integers(2)))
    paddings = drawn_paddings(plans, rng, padded) if padded else {}
    for plan in plans:
        folder = Folder(rng, {plan.operations[0].inputs[0].name: stream} if stream else {}, paddings, paired)
        stages = tuple(stage for operation in plan.operations for stage in folder.fold(operation))
        unit = Unit(
            name=f"{prefix}{plan.name}", kind=plan.kind, input_map=plan.input_map, blocks=plan.blocks, stages=stages
        )
        units.append(unit)
        stream = unit.output
    return Design(
        network=net.name, fingerprint=fingerprint(net), board=board, clock_mhz=board.clock_mhz, units=tuple(units)
    )


def drawn_paddings(plans: Sequence[UnitPlan], rng: np.random.Generator, share: float) -> dict[str, int]:
    """Channels to add to edges, by name: one to four, for this share of the groups of edges that are padded alike."""
    groups = alike([operation for plan in plans for operation in plan.operations])
    drawn = [(edges, int(rng.integers(1, 5)) if rng.random() < share else 0) for edges in groups]
    return {edge.name: padding for edges, padding in drawn for edge in edges}


class Folder:
    """Gives lanes to the operations of a unit, one after the other.

    `streams` are those written so far, `paddings` the channels added to edges, by name; `paired` is the share of the
    windows that hold pairs of pixels, of those that can.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        streams: dict[str, Stream],
        paddings: Mapping[str, int] | None = None,
        paired: float = 0.5,
    ) -> None:
        self.rng = rng
        self.streams = streams
        self.paddings = paddings or {}
        self.paired = paired

    def fold(self, operation: Operation) -> Iterator[Stage]:
        """The operation's stage, after repacks of its inputs."""
        inputs = []
        for edge in operation.inputs:
            # Of an image that comes two pixels a beat, both come whole.
            lanes = edge.channels if "columns" in operation.fields else self.pick(lanes_of(edge.channels))
            inputs.append(self.streams.get(edge.name) or edge.stream(Way(lanes)))
        lanes = [stream.lanes for stream in inputs]
        if operation.kind in JOINS:
            lanes = [math.gcd(*lanes)] * 2
        reachable = [n for n in lanes_of(inputs[0].channels) if n % lanes[0] == 0 or lanes[0] % n == 0]
        even = [n for n in reachable if n % 2 == 0]
        pairs = bool(operation.outputs[0].pixel_pair and even) and self.rng.random() < self.paired
        if pairs:
            lanes = [self.pick(even)]
        elif (
            operation.kind not in JOINS
            and inputs[0].taps == 1
            and "columns" not in operation.fields
            and self.rng.random() < 0.4
        ):
            lanes = [self.pick(reachable)]
        for index, (stream, wanted) in enumerate(zip(inputs, lanes, strict=True)):
            if wanted != stream.lanes:
                inputs[index] = stream.model_copy(update={"name": f"{stream.name}_packed", "lanes": wanted})
                name = f"{operation.name}_repack{index}"
                yield Repack(kind="repack", name=name, input=stream, output=inputs[index])
        yield self.stage(operation, tuple(inputs), pairs)

    def stage(self, operation: Operation, inputs: tuple[Stream, ...], pairs: bool) -> Stage:
        """The operation's stage; a dense one multiplies and writes at any parallelism its requantizers can follow."""
        lanes, folding = inputs[0].lanes, dict[str, Any]()
        if operation.kind in DENSE:
            channels = operation.outputs[0].channels + self.paddings.get(operation.outputs[0].name, 0)
            lanes = self.pick(lanes_of(channels))
            turns = [n for n in lanes_of(channels // lanes) if n <= inputs[0].groups]
            folding["out_parallel"] = lanes * self.pick(turns)
            # Every second parallelism pairs wide weights, too.
            wide = operation.fields["weight_bits"] > LIGHT_PAIR_BITS and folding["out_parallel"] % 4 == 0
            folding["fabric"] = self.rng.random() < 0.2
            alone = wide or folding["fabric"]
            folding["pair_field"] = 0 if alone else pair_field(operation.fields["weight_bits"])
            folding["weights"] = ("on_chip", "distributed", "external")[self.rng.integers(3)]
        if pairs and (pair := operation.outputs[0].pixel_pair):
            folding.update(kernel=pair.window, stride=(operation.fields["stride"][0], 2 * pair.step))
        if operation.kind == "depthwise" and inputs[0].width < operation.outputs[0].width:
            field = pixel_field(inputs[0].bits, operation.fields["weight_bits"])
            folding.update(pixel_pair=operation.inputs[0].pixel_pair, pair_field=field)
        elif operation.kind == "depthwise":
            folding["fabric"] = bool(self.rng.integers(2))
        lanes //= operation.fields.get("columns", 1)
        outputs = tuple(
            edge.stream(Way(lanes, self.paddings.get(edge.name, 0), 1 + pairs), depth=int(self.rng.integers(2, 65)))
            for edge in operation.outputs
        )
        self.streams.update((stream.name, stream) for stream in outputs)
        return operation.stage(inputs, outputs, folding)

    def pick(self, numbers: Sequence[int]) -> int:
        """One of `numbers`."""
        return numbers[self.rng.integers(len(numbers))]
