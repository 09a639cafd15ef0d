"""Designs with drawn foldings: any lanes, repacks anywhere, weights in every place; more than the compiler chooses."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from deepdive.compiler.design import Design
from deepdive.compiler.partition import partition
from deepdive.compiler.plan import DENSE, JOINS, Operation
from deepdive.hardware.boards import Board
from deepdive.hardware.stages import Repack, Stage
from deepdive.hardware.stream import Stream
from deepdive.hardware.units import Unit
from deepdive.qnet import QNet
from deepdive.qnet.fingerprint import fingerprint


def drawn_design(net: QNet, board: Board, seed: int, *, prefix: str = "") -> Design:
    """The units of the compiler's partition, folded at random; `prefix` goes before the units' names."""
    rng = np.random.default_rng(seed)
    units: list[Unit] = []
    stream: Stream | None = None
    for plan in partition(net):
        folder = Folder(rng, {plan.operations[0].inputs[0].name: stream} if stream else {})
        stages = tuple(stage for operation in plan.operations for stage in folder.fold(operation))
        unit = Unit(
            name=f"{prefix}{plan.name}", kind=plan.kind, input_map=plan.input_map, blocks=plan.blocks, stages=stages
        )
        units.append(unit)
        stream = unit.output
    return Design(
        network=net.name, fingerprint=fingerprint(net), board=board, clock_mhz=board.clock_mhz, units=tuple(units)
    )


class Folder:
    """Gives lanes to the operations of a unit, one after the other; `streams` are those written so far."""

    def __init__(self, rng: np.random.Generator, streams: dict[str, Stream]) -> None:
        self.rng = rng
        self.streams = streams

    def fold(self, operation: Operation) -> Iterator[Stage]:
        """The operation's stage, after repacks of its inputs."""
        inputs = []
        for edge in operation.inputs:
            inputs.append(self.streams.get(edge.name) or edge.stream(self.pick(divisors(edge.channels))))
        lanes = [stream.lanes for stream in inputs]
        if operation.kind in JOINS:
            lanes = [math.gcd(*lanes)] * 2
        elif inputs[0].taps == 1 and self.rng.random() < 0.4:
            lanes = [self.pick([n for n in divisors(inputs[0].channels) if n % lanes[0] == 0 or lanes[0] % n == 0])]
        for index, (stream, wanted) in enumerate(zip(inputs, lanes, strict=True)):
            if wanted != stream.lanes:
                inputs[index] = stream.model_copy(update={"name": f"{stream.name}_packed", "lanes": wanted})
                name = f"{operation.name}_repack{index}"
                yield Repack(kind="repack", name=name, input=stream, output=inputs[index])
        yield self.stage(operation, tuple(inputs))

    def stage(self, operation: Operation, inputs: tuple[Stream, ...]) -> Stage:
        """The operation's stage; a dense one multiplies and writes at any parallelism its requantizers can follow."""
        lanes, folding = inputs[0].lanes, {}
        if operation.kind in DENSE:
            channels = operation.outputs[0].channels
            lanes = self.pick(divisors(channels))
            turns = [n for n in divisors(channels // lanes) if n <= inputs[0].groups]
            folding["out_parallel"] = lanes * self.pick(turns)
            folding["weights"] = ("on_chip", "distributed", "external")[self.rng.integers(3)]
        if operation.kind == "depthwise":
            folding["fabric"] = bool(self.rng.integers(2))
        outputs = tuple(edge.stream(lanes, depth=int(self.rng.integers(2, 65))) for edge in operation.outputs)
        self.streams.update((stream.name, stream) for stream in outputs)
        return operation.stage(inputs, outputs, folding)

    def pick(self, numbers: list[int]) -> int:
        """One of `numbers`."""
        return numbers[self.rng.integers(len(numbers))]


def divisors(number: int) -> list[int]:
    """All divisors, ascending."""
    return [n for n in range(1, number + 1) if number % n == 0]
