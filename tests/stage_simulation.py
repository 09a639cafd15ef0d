"""A cycle-by-cycle simulation of the stages' contracts: beats without values through FIFOs of finite depth.

It knows what each loop takes and gives in each step, nothing of costs or interval formulas, so it can contradict them.
Pipelines are of the worst kind: while a stage cannot read, everything inside it stands still. Only stages whose C++
asks for a flushing pipeline go on with what is in it, and only where the model relies on it: on vectors.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import repeat

from deepdive.hardware.stages import (
    ChannelScale,
    Dense,
    Depthwise,
    Flatten,
    Fork,
    GlobalAveragePool,
    Pad,
    Repack,
    ResidualAdd,
    Stage,
    Table,
    Window,
    WindowPool,
)
from deepdive.hardware.stream import Stream

Step = tuple[bool | tuple[bool, bool], bool]
"""Whether a step takes a beat of every input (or of which of two), and whether it gives one to every output."""


class Deadlock(Exception):
    """Nothing moves any more; the text names the full FIFOs."""


def steps(stage: Stage, frames: int) -> Iterator[Step]:
    """What the stage's loop does for some frames, step after step."""
    if isinstance(stage, Window):
        return window_steps(stage, frames)
    if isinstance(stage, Dense):
        return dense_steps(stage, frames)
    if isinstance(stage, Pad):
        return pad_steps(stage, frames)
    if isinstance(stage, Repack):
        return repack_steps(stage, frames)
    if isinstance(stage, ChannelScale):
        return scale_steps(stage, frames)
    if isinstance(stage, GlobalAveragePool):
        return pool_steps(stage, frames)
    if isinstance(stage, Depthwise) and stage.pixel_pair:
        return pair_steps(stage, frames)
    assert isinstance(stage, Depthwise | ResidualAdd | WindowPool | Table | Flatten | Fork)
    return repeat((True, True), frames * stage.inputs[0].beats)


def window_steps(stage: Window, frames: int) -> Iterator[Step]:
    """Row by row, group by group; a window is due `lag` pixels after its own position."""
    height, width = max(stage.input.height, stage.raster[0]), stage.row_pixels
    grid = stage.grid
    (kernel_h, kernel_w), (top, left, _, _) = grid.kernel, grid.padding
    lag = (kernel_h - 1 - top) * width + kernel_w - 1 - left
    pixels = frames * height * width
    for position in range(pixels + lag):
        y, x = divmod(position % (height * width), width)
        due = position - lag
        row, column = divmod(due % (height * width), width)
        given = (
            due >= 0
            and row < stage.raster[0]
            and column < stage.raster[1]
            and row % grid.stride[0] == 0
            and column % grid.stride[1] == 0
        )
        taken = position < pixels and y < stage.input.height and x < stage.input.width
        yield from repeat((taken, given), stage.input.groups)


def dense_steps(stage: Dense, frames: int) -> Iterator[Step]:
    """The first output group reads; finished groups are written one beat a step."""
    waiting = 0
    for _ in range(frames * stage.output.height * stage.output.width):
        for out_group in range(stage.out_groups):
            for _ in range(stage.input.groups):
                yield out_group == 0, waiting > 0
                waiting = max(waiting - 1, 0)
            assert waiting == 0, "requantizers are still busy with the group before"
            waiting = stage.out_parallel // stage.output.lanes
        if stage.drains:
            yield from repeat((False, True), waiting)
            waiting = 0
    yield from repeat((False, True), waiting)


def repack_steps(stage: Repack, frames: int) -> Iterator[Step]:
    """Narrower: reads for the first of several beats. Wider: writes with the last of several."""
    parts = max(stage.input.lanes // stage.output.lanes, stage.output.lanes // stage.input.lanes)
    narrower = stage.input.lanes > stage.output.lanes
    for _ in range(frames * min(stage.input.beats, stage.output.beats)):
        for part in range(parts):
            yield (part == 0, True) if narrower else (True, part == parts - 1)


def pad_steps(stage: Pad, frames: int) -> Iterator[Step]:
    """Writes always, reads inside the map."""
    top, left, _, _ = stage.padding
    for _ in range(frames):
        for pixel in range(stage.output.height * stage.output.width):
            y, x = divmod(pixel, stage.output.width)
            inside = 0 <= y - top < stage.input.height and 0 <= x - left < stage.input.width
            yield from repeat((inside, True), stage.output.groups)


def scale_steps(stage: ChannelScale, frames: int) -> Iterator[Step]:
    """Takes factors with the first pixel."""
    for _ in range(frames):
        for beat in range(stage.input.beats):
            yield (True, beat < stage.input.groups), True


def pool_steps(stage: GlobalAveragePool, frames: int) -> Iterator[Step]:
    """Writes during the last pixel."""
    for _ in range(frames):
        for beat in range(stage.input.beats):
            yield True, beat >= stage.input.beats - stage.input.groups


def pair_steps(stage: Depthwise, frames: int) -> Iterator[Step]:
    """Reads every second step, and gives a beat a step once half a pair has come: the first pixel's, then the second's.

    A beat must be whole before it leaves: both of its halves have been multiplied.
    """
    groups = stage.input.groups
    given = whole = 0
    while given < frames * stage.output.beats:
        step = 2 * whole
        for half in range(2):
            leaves = step + half > groups
            if leaves:
                pair, place = divmod(given, 2 * groups)
                assert pair * groups + place % groups < whole
                given += 1
            yield half == 0 and whole < frames * stage.input.beats, leaves
            if given == frames * stage.output.beats:
                return
        whole += 1


class Running:
    """A stage at work."""

    def __init__(self, stage: Stage, frames: int, pipeline: int) -> None:
        self.stage = stage
        self.loop = steps(stage, frames)
        self.next = next(self.loop)
        self.inside: deque[bool] = deque([False] * pipeline)
        self.starved = False
        vector = stage.inputs[0].beats == stage.inputs[0].groups
        self.flushes = vector and isinstance(stage, Dense | Table | Repack)

    @property
    def wanted(self) -> list[Stream]:
        """The inputs that the next step reads."""
        takes, inputs = self.next[0], self.stage.inputs
        return [s for s, one in zip(inputs, takes if isinstance(takes, tuple) else [takes] * 2, strict=False) if one]

    def can_move(self, level: dict[str, int], depth: dict[str, int]) -> bool:
        """Whether the next step's inputs are there and the oldest step's outputs have room."""
        self.starved = any(level[stream.name] == 0 for stream in self.wanted)
        if self.starved and not (self.flushes and any(self.inside)):
            return False
        return not (self.inside[0] and any(level[s.name] >= depth[s.name] for s in self.stage.outputs))

    def move(self, change: dict[str, int]) -> None:
        """One step in, the oldest out."""
        if self.inside.popleft():
            for stream in self.stage.outputs:
                change[stream.name] += 1
        if self.starved:
            self.inside.append(False)
            return
        for stream in self.wanted:
            change[stream.name] -= 1
        self.inside.append(self.next[1])
        self.next = next(self.loop, (False, False))


def frame_ends(
    stages: Sequence[Stage], frames: int, *, pipeline: int, behind: int = 0, depths: dict[str, int] | None = None
) -> list[int]:
    """Clock cycle in which each frame's last beat leaves; images come without a pause.

    Parameters
    ----------
    pipeline
        Iteration latency of every stage in cycles.
    behind
        Frames that come behind those asked for; with none, the pipelines run empty at the end.
    depths
        FIFO depths by name of the stream, other than the streams' own.
    """
    streams: dict[str, Stream] = {s.name: s for stage in stages for s in (*stage.inputs, *stage.outputs)}
    written = {stream.name for stage in stages for stream in stage.outputs}
    read = {stream.name for stage in stages for stream in stage.inputs}
    (source,), (sink,) = read - written, written - read
    depth = {name: stream.depth for name, stream in streams.items()} | (depths or {})
    level = dict.fromkeys(streams, 0)
    level[source] = depth[sink] = 1 << 60
    running = [Running(stage, frames + behind, pipeline) for stage in stages]
    ends: list[int] = []
    cycle = 0
    while len(ends) < frames:
        cycle += 1
        change = dict.fromkeys(streams, 0)
        moving = [stage for stage in running if stage.can_move(level, depth)]
        for stage in moving:
            stage.move(change)
        for name, difference in change.items():
            level[name] += difference
        if change[sink] and level[sink] % streams[sink].beats == 0:
            ends.append(cycle)
        if not moving:
            full = [name for name in streams if name not in (source, sink) and level[name] >= depth[name]]
            raise Deadlock(f"cycle {cycle}: {full} are full")
    return ends
