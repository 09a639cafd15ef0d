"""How deep each FIFO must be, so that no chain of stages stalls for want of room and no residual block deadlocks.

These things ask for room:

- *Turns*: a dense stage that needs several turns over a pixel (`out_groups` > 1) reads it in the first turn only. A
  FIFO of one pixel lets the writer go on meanwhile, so that both run at their own speed.
- *Strides*: a strided window gives a row of windows while one of `stride` input rows passes, and none during the
  others. The dense stage behind it works all the time when the FIFO holds what comes too early: a row's
  ``1 - 1 / stride``.
- *Bursts*: a dense stage writes a group's outputs in a row of steps, then none until the next group is done. A repack
  to narrower beats takes several cycles for each: the row waits in its FIFO, or the dense stage would stand still.
- *Pairs* of pixels come as one window while the second pixel passes, none while the next first one does; the depthwise
  stage takes two steps for each of their beats. Half of them wait.
- *Skips*: a fork stops when either of its readers' FIFOs is full. On the skip path the FIFO must therefore hold all the
  pixels that pass the fork before the main path gives its first one. That is

      lag + 1 + held

  pixels, where `lag` is how far the windows of the main path look ahead - for a k x k filter with padding p
  ``(k - 1 - p_top) * width + (k - 1 - p_left)`` - and `held` is what its stages may keep inside: two pixels for a dense
  stage (one accumulating, one being requantized), one for a repack, and `PIPELINE_CYCLES` beats for every stage, since
  a pipeline that stalls for want of input keeps what is in it. With less, the fork waits for the add, the add for the
  main path, and the main path for the fork. Paths that met in front of a later fork are one: they ask for nothing more.
- *Sums* of a global pool come one after the other; a slower reader's FIFO holds them all.
- *Squeeze-excite* is a skip whose main path looks ahead to the map's last pixel. Between that and the factors the
  layers of the branch take their time, each at most a `hurry`-th of the frame interval, while the next frame's pixels
  come in: ``1 + layers / hurry`` frames wait. The branch's stages empty themselves (Dense's `drains`, flushing
  pipelines), or each of them would keep a frame's vector until the next one came.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from deepdive.compiler.plan import DENSE, JOINS, Edge, Operation
from deepdive.hardware.stages import PIPELINE_CYCLES

Groups = Callable[[Edge], int]


@dataclass(frozen=True)
class Room:
    """Pixels that the FIFO of an edge must hold, by reason."""

    early: int = 0
    skipped: int = 0


@dataclass(frozen=True)
class Path:
    """From a fork's output to an edge: output pixel (y, x) needs the fork's pixel (y * s + d) in each direction.

    Parameters
    ----------
    frame, groups
        Pixels a frame and beats a pixel at the fork.
    held
        Pixels of the fork that the stages between may keep, or that come while they work.
    vector
        Whether a frame has become a single pixel.
    """

    frame: int
    groups: int
    stride: tuple[int, int] = (1, 1)
    ahead: tuple[int, int] = (0, 0)
    held: int = 0
    vector: bool = False

    def through(self, operation: Operation, groups: Groups) -> Path:
        """The path, longer by one operation."""
        stride, ahead, kept = self.stride, self.ahead, 0
        source, target = operation.inputs[0], operation.outputs[0]
        waits = math.ceil(PIPELINE_CYCLES / groups(target))
        if self.vector and operation.kind not in JOINS:
            return replace(self, held=self.held + self.vector_held(operation, groups))
        if operation.kind in ("global_avg_pool", "flatten"):
            last = ((source.height - 1) * stride[0], (source.width - 1) * stride[1])
            ahead = (ahead[0] + last[0], ahead[1] + last[1])
            # Behind a strided window, pixels come a row at a time.
            held = self.held + waits * stride[0] * stride[1] + source.width
            return replace(self, ahead=ahead, held=held, vector=self.frame > 1)
        if operation.kind == "window":
            step, padding = operation.fields["stride"], operation.fields["padding"]
            reach = [max(k - 1 - p, 0) for k, p in zip(operation.fields["kernel"], padding[:2], strict=True)]
            ahead = (ahead[0] + reach[0] * stride[0], ahead[1] + reach[1] * stride[1])
            stride = (stride[0] * step[0], stride[1] * step[1])
        elif operation.kind in DENSE:
            kept = 2
        elif operation.kind == "pad":  # gives its frame's pixels without reading, and none are read meanwhile
            kept = target.height * target.width - source.height * source.width
            ahead = (ahead[0] - operation.fields["padding"][0] * stride[0], ahead[1])
        elif operation.kind == "repack":
            kept = 1
        elif out_of_pairs(operation):  # a pair's last beats leave when the next pair comes in
            kept, stride = 2, (stride[0], stride[1] // 2)
        held = self.held + (kept + waits) * stride[0] * stride[1]
        return replace(self, stride=stride, ahead=ahead, held=held, vector=False)

    def vector_held(self, operation: Operation, groups: Groups) -> int:
        """Pixels of the fork that come while an operation turns a vector into another, or that it keeps as vectors."""
        source, target = operation.inputs[0], operation.outputs[0]
        if operation.hurry > 1:
            working = math.ceil(self.frame / operation.hurry)
            if operation.kind == "table":  # takes a cycle a beat
                working = min(working, math.ceil(groups(target) / self.groups))
            return working + math.ceil(PIPELINE_CYCLES / self.groups)
        if operation.kind == "repack":
            return math.ceil((max(groups(source), groups(target)) + PIPELINE_CYCLES) / self.groups)
        return (math.ceil(PIPELINE_CYCLES / groups(target)) + 2 * (operation.kind in DENSE)) * self.frame


def out_of_pairs(operation: Operation) -> bool:
    """Whether it takes windows of two pixels each."""
    return operation.kind == "depthwise" and operation.inputs[0].width < operation.outputs[0].width


def input_depth(edge: Edge, groups: int, room: Room, reader: Operation, folding: Mapping[str, Any]) -> int:
    """Beats that the FIFO in front of `reader` holds, `groups` beats a pixel."""
    depth = 2 + (room.early + room.skipped) * groups
    if reader.kind in DENSE and folding["out_parallel"] < reader.outputs[0].channels:
        depth += groups
    if reader.kind == "channel_scale" and edge.height == edge.width == 1:
        depth += groups  # factors are made beat by beat, and read at once
    if folding.get("pixel_pair"):
        depth += math.ceil(groups / 2)
    if reader.kind == "concat":
        depth += groups  # a pixel of one map waits while one of the other is handed on
    return depth


def bursts(operations: Sequence[Operation], groups: Groups, parallel: Mapping[str, int]) -> dict[str, int]:
    """Beats that come in a row, for the edges where they wait; `parallel` gives the beats at once of dense ones."""
    rows: dict[str, int] = {}
    wanted: dict[str, int] = {}
    for operation in operations:
        row = max(rows.get(edge.name, 0) for edge in operation.inputs)
        source, target = operation.inputs[0], operation.outputs[0]
        if operation.kind in DENSE:
            row = parallel[operation.name]
        elif operation.kind == "repack":
            if groups(target) > groups(source) and row > 1:
                wanted[source.name] = row
                row = 0
            row = math.ceil(row * groups(target) / groups(source))
        rows.update({edge.name: row for edge in operation.outputs})
    return wanted


def rooms(operations: Sequence[Operation], groups: Groups) -> dict[str, Room]:
    """What each edge that needs it must hold, by name of the edge; `groups` gives beats a pixel of an edge."""
    skipped = skips(operations, groups)
    early = early_pixels(operations, groups)
    return {name: Room(early.get(name, 0), skipped.get(name, 0)) for name in {*skipped, *early}}


def likely_rooms(operations: Sequence[Operation], interval: int) -> dict[str, Room]:
    """The same with every edge as narrow as a frame interval allows: close to what will be needed."""

    def groups(edge: Edge) -> int:
        pixels = edge.height * edge.width
        return next((edge.groups(way) for way in edge.ways if pixels * edge.groups(way) <= interval), 1)

    return rooms(operations, groups)


def early_pixels(operations: Sequence[Operation], groups: Groups | None = None) -> dict[str, int]:
    """Pixels that a strided window gives too early, for the edges where they wait.

    They wait in front of a stage that takes several cycles a beat: a dense one, or, as far as `groups` are known, a
    repack to narrower beats.
    """
    bursts: dict[str, int] = {}
    wanted: dict[str, int] = {}
    for operation in operations:
        (source, *_), (target, *_) = operation.inputs, operation.outputs
        pixels = bursts.get(source.name, 0)
        if operation.kind == "window":
            step = operation.fields["stride"][0]
            pixels = target.width - target.width // step
            if source.height % step:  # a frame's last row of windows and the next one's first meet
                pixels *= 2
        if operation.kind == "global_avg_pool":  # gives a frame's sums one after the other
            pixels = 1
        if operation.kind == "pad":  # nothing is read while it gives what lies below, above and beside the map
            top, left, bottom, right = operation.fields["padding"]
            frame = (top + bottom) * target.width + left + right
            wanted[source.name] = pixels + min(frame, source.height * source.width)
        if out_of_pairs(operation):
            pixels *= 2
        narrower = operation.kind == "repack" and groups is not None and groups(target) > groups(source)
        if pixels and (narrower or operation.kind in DENSE):
            wanted[source.name] = pixels
        elif operation.kind in ("window", "depthwise", "max_pool", "avg_pool", "global_avg_pool", "table", "repack"):
            bursts[target.name] = pixels
    return wanted


def skips(operations: Sequence[Operation], groups: Groups) -> dict[str, int]:
    """Pixels that wait on one input of a join while the other path is still working on the first of them."""
    paths: dict[str, dict[str, Path]] = {}  # edge -> output of a fork -> how the edge comes from it
    widths: dict[str, int] = {}
    sisters: dict[str, str] = {}
    wanted: dict[str, int] = {}
    for operation in operations:
        before = [paths.get(edge.name, {}) for edge in operation.inputs]
        if operation.kind in JOINS:
            for source, first in before[0].items():
                second = before[1].get(sisters.get(source, ""))
                met = source in before[1] and sisters.get(source) in before[0]
                if second and not met:
                    for edge, slow, fast in (
                        (operation.inputs[1], first, second),
                        (operation.inputs[0], second, first),
                    ):
                        pixels = waiting(slow, fast, widths[source])
                        wanted[edge.name] = max(wanted.get(edge.name, 0), pixels)
        merged = dict(before[0])
        for more in before[1:]:
            for source, path in more.items():
                known = merged.get(source)
                merged[source] = (
                    path if known is None or lag(path, widths[source]) > lag(known, widths[source]) else known
                )
        after = {source: path.through(operation, groups) for source, path in merged.items()}
        for edge in operation.outputs:
            paths[edge.name] = after
        if operation.kind == "fork":
            names = [edge.name for edge in operation.outputs]
            sisters.update(zip(names, reversed(names), strict=True))
            for name in names:
                edge = operation.inputs[0]
                paths[name] = {**after, name: Path(edge.height * edge.width, groups(edge))}
                widths[name] = edge.width
    return {name: pixels for name, pixels in wanted.items() if pixels}


def lag(path: Path, width: int) -> int:
    """Pixels of the fork that pass before the path gives its first, less that one."""
    wraps = (path.stride[0] - 1) * width if path.held else 0  # held pixels of a strided path may lie a row apart
    return path.ahead[0] * width + path.ahead[1] + path.held + wraps


def waiting(slow: Path, fast: Path, width: int) -> int:
    """Pixels that the fast path gives before the slow path gives its first."""
    ahead = lag(slow, width) + 1 - fast.ahead[0] * width - fast.ahead[1]
    if ahead <= 0:
        return 0
    if fast.vector:
        return ahead // fast.frame + 1
    if fast.stride == (1, 1):
        return ahead
    rows = ahead // (fast.stride[0] * width) + 1
    return min(ahead, rows * math.ceil(width / fast.stride[1]))
