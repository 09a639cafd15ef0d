"""A discrete-event simulation of the pipeline: when does each beat of each stream move, and what holds a stage up?

The events are beats taken and given. A stage's loop fixes the step of each (`loops`); a step takes place one clock
cycle after the step before it, or later: when an input beat is not there yet, or an output FIFO has no room. Between
two events nothing can stall, so a stage's time is ``step + delay`` with a delay that only grows, by the maximum of what
its events have to wait for. All delays of a stage are therefore running maxima over arrays, one pass of NumPy a stage.
Every time is a maximum of other times plus constants, so passes over the stages, forth and back, rise to the one
schedule in which every step takes place as early as it can: that of a simulation clock cycle by clock cycle.

Pipelines are of the worst kind: while a stage cannot read, everything inside it stands still - except in stages that
read vectors (one pixel), which the C++ asks to flush. Images come without a pause.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from deepdive.compiler.loops import loop
from deepdive.errors import CheckFailed
from deepdive.hardware.stages import PIPELINE_CYCLES, Dense, Repack, SharedBody, Stage, Table
from deepdive.hardware.stream import Stream
from deepdive.hardware.units import Unit

LABEL = "simulated (discrete-event)"
SWEEPS = 6
PASSES, EVENTS = 100, 1 << 31
"""A handful of sweeps does for most FIFO depths of the compiler; the shallower they are, the more it takes. No more
than so many updates a stage, or than the second over the number of events: some minutes."""
BEHIND = 2
NEVER = -(1 << 30)


@dataclass(frozen=True)
class StageActivity:
    """What a stage did during one frame in the middle of many.

    `starved` and `blocked` are cycles in which it waited for an input beat, or for room in an output FIFO; with the
    `working` ones they are a frame interval.
    """

    name: str
    first_cycle: int
    last_cycle: int
    working: int
    starved: int
    blocked: int


@dataclass(frozen=True)
class Pipeline:
    """What the simulation found.

    Parameters
    ----------
    frame_ends
        Clock cycle in which each frame's last beat leaves, of as many frames as were asked for.
    interval_cycles
        Between the last two of them, in a full pipeline.
    stages
        In order of the data flow.
    peak
        Most beats that each FIFO held, by name of the stream.
    """

    frame_ends: tuple[int, ...]
    interval_cycles: int
    stages: tuple[StageActivity, ...]
    peak: dict[str, int]


def simulate_pipeline(units: Sequence[Unit], *, frames: int = 4, pipeline: int = PIPELINE_CYCLES) -> Pipeline:
    """Run some frames through finished units.

    Parameters
    ----------
    frames
        At least 3; more come behind them, so that the last does not find an empty pipeline.
    pipeline
        Iteration latency of every stage in clock cycles.

    Raises
    ------
    CheckFailed
        When the FIFOs are too shallow and nothing moves any more.
    """
    nodes, times = scheduled(units, frames + behind(units), pipeline)
    sink = nodes[-1].stage.outputs[0]
    ends = times.ends(sink)[:frames]
    slowest, last = max(node.steps for node in nodes), ends
    if last[-1] - last[-2] < slowest:  # few frames follow, and what is inside drains faster than it came in
        nodes, times = scheduled(units, frames + math.ceil(ends[0] / slowest), pipeline)
        last = times.ends(sink)[:frames]
    return Pipeline(
        frame_ends=tuple(int(end) for end in ends),
        interval_cycles=int(last[-1] - last[-2]),
        stages=tuple(node.activity(frames - 2) for node in nodes),
        peak={s.name: times.peak(s) for node in nodes for s in node.stage.outputs if s is not sink},
    )


def behind(units: Sequence[Unit]) -> int:
    """Frames that must follow one, so that it meets what it meets in steady state: those in shared bodies, too."""
    return BEHIND + sum(2 * stage.batch for unit in units for stage in unit.stages if isinstance(stage, SharedBody))


def scheduled(
    units: Sequence[Unit], frames: int, pipeline: int, node: Callable[[Stage, Times, int, int], Node] | None = None
) -> tuple[list[Node], Times]:
    """Stages, each at work as `node` makes it (by default a `Node`), and the cycle of every beat of `frames` frames."""
    stages = [stage for unit in units for stage in unit.stages]
    times = Times(stages, frames)
    nodes = [(node or Node)(stage, times, frames, pipeline) for stage in stages]
    # In every cycle before the end at least one stage moves, or none ever will again.
    most = sum(frames * node.steps + int(node.loop.writes[-1]) + pipeline for node in nodes)
    # Most pipelines settle in a few sweeps over all of them; where a beat pushes the next, stages far behind had better
    # wait until those in front have come to terms: the first one that others have moved is always the next.
    for count in range(SWEEPS):
        order = nodes if count % 2 == 0 else nodes[::-1]
        if not sum([node.update() for node in order]):
            return nodes, times
    writer = {stream.name: at for at, stage in enumerate(stages) for stream in stage.outputs}
    back = [min((writer[s.name] for s in stage.inputs if s.name in writer), default=0) for stage in stages]
    at, left = 0, max(PASSES, EVENTS // sum(times.sizes.values())) * len(nodes)
    while at < len(nodes) and left:
        if not nodes[at].update():
            at += 1
            continue
        at, left = back[at], left - 1
        if times.last > most:
            raise CheckFailed("The pipeline stands still: a FIFO is too shallow, and stages wait for each other.")
    if not left:
        raise CheckFailed("The pipeline's simulation found no schedule; its FIFOs are too shallow.")
    return nodes, times


class Times:
    """The clock cycle in which each beat of each stream is written and read; negative: not known yet.

    `room` is how many beats may wait between the two: those of the FIFO, and at the ends of a shared body a frame,
    since its memories hold a batch beside the one that it works on. Without them its even pace and its neighbour's
    bursts would hold each other up, beat by beat.
    """

    def __init__(self, stages: Sequence[Stage], frames: int) -> None:
        streams = {stream.name: stream for stage in stages for stream in (*stage.inputs, *stage.outputs)}
        self.has_writer = {stream.name for stage in stages for stream in stage.outputs}
        self.has_reader = {stream.name for stage in stages for stream in stage.inputs}
        self.sizes = sizes = {name: frames * stream.beats for name, stream in streams.items()}
        ends = {s.name for stage in stages if isinstance(stage, SharedBody) for s in (stage.input, stage.output)}
        self.room = {name: stream.depth + (name in ends) * stream.beats for name, stream in streams.items()}
        self.written = {name: np.full(size, NEVER, dtype=np.int32) for name, size in sizes.items()}
        self.read = {name: np.full(size, NEVER, dtype=np.int32) for name, size in sizes.items()}

    @property
    def last(self) -> int:
        """The latest cycle so far."""
        return max(int(times[-1]) for times in self.read.values())

    def ends(self, stream: Stream) -> np.ndarray:
        """When each frame's last beat is written: int32 (frames,)."""
        return self.written[stream.name][stream.beats - 1 :: stream.beats]

    def peak(self, stream: Stream) -> int:
        """Most beats in the FIFO at the end of a cycle; what is beyond its depth is in a shared body's memory."""
        written = self.written[stream.name]
        gone = np.searchsorted(self.read[stream.name], written, side="right")
        return min(int((np.arange(1, len(written) + 1) - gone).max()), stream.depth)


@dataclass(frozen=True, eq=False)
class Before:
    """How many events of one list lie at or before each event of another, in a frame; frame after frame the same.

    ``count * (frame + frames) + position``, within what there is, for each own event: int32 (events,) each.
    """

    count: int
    frames: np.ndarray
    position: np.ndarray

    @classmethod
    def of(cls, own: np.ndarray, other: np.ndarray, steps: int) -> Before:
        """Of two ascending lists of steps in a frame of `steps`."""
        frames, within = np.divmod(own - other[0], np.int32(steps))
        position = np.cumsum(np.bincount(other - other[0], minlength=steps), dtype=np.int32)[within]
        return cls(len(other), frames, position)

    def latest(self, waits: np.ndarray, frames: int) -> np.ndarray:
        """The wait of the last of them, 1 where there is none; `waits` is of all frames."""
        found = self.position + np.int32(self.count) * self.frames - 1
        rows = (np.arange(frames, dtype=np.int32) * self.count)[:, None]
        index = (rows + found).ravel()
        return np.where(index >= 0, waits.take(index, mode="clip"), 1)


class Node:
    """One stage at work."""

    def __init__(self, stage: Stage, times: Times, frames: int, pipeline: int) -> None:
        self.stage, self.times, self.frames = stage, times, frames
        self.loop = loop(stage)
        self.steps = self.loop.steps
        vector = stage.inputs[0].beats == stage.inputs[0].groups
        flushes = vector and isinstance(stage, Dense | Table | Repack)
        # A rigid pipeline gives in a later step, one that flushes in a later cycle.
        self.later, self.late = (0, pipeline) if flushes else (pipeline, 0)
        self.lists = [steps.astype(np.int32) for steps in (*self.loop.reads, self.loop.writes + self.later)]
        self.before = {
            (own, other): Before.of(self.lists[own], self.lists[other], self.steps)
            for own in range(len(self.lists))
            for other in range(len(self.lists))
            if own != other
        }
        self.seen: list[np.ndarray] = []

    @property
    def events(self) -> list[np.ndarray]:
        """Steps of all frames: reads of each input, then writes. Made anew each time, since they are large."""
        starts = (np.arange(self.frames, dtype=np.int32) * self.steps)[:, None]
        return [(starts + steps).ravel() for steps in self.lists]

    def waits(self, events: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The least delay that each list of events asks for, as running maxima."""
        found = []
        for stream, steps in zip(self.stage.inputs, events[:-1], strict=True):
            there = self.times.written[stream.name]
            wait = there + np.int32(1) - steps if stream.name in self.times.has_writer else np.ones_like(steps)
            found.append(np.maximum.accumulate(np.maximum(wait, 1)))
        steps = events[-1]
        wait = np.ones_like(steps)
        for stream in self.stage.outputs:
            depth = self.times.room[stream.name]
            if stream.name in self.times.has_reader and depth < len(wait):
                room = self.times.read[stream.name][:-depth] + np.int32(1 - self.late)
                wait[depth:] = np.maximum(wait[depth:], room - steps[depth:])
        found.append(np.maximum.accumulate(wait))
        return found

    def update(self) -> bool:
        """Let every event take place as early as the other stages' times allow; whether anything changed."""
        seen = [self.times.written[stream.name] for stream in self.stage.inputs]
        seen += [self.times.read[stream.name] for stream in self.stage.outputs]
        if len(seen) == len(self.seen) and all(now is then for now, then in zip(seen, self.seen, strict=True)):
            return False
        self.seen = seen
        events = self.events
        waits = self.waits(events)
        delays = list(waits)
        for (own, other), before in self.before.items():
            delays[own] = np.maximum(delays[own], before.latest(waits[other], self.frames))
        changed = False
        for stream, steps, delay in zip(self.stage.inputs, events[:-1], delays[:-1], strict=True):
            changed |= replaced(self.times.read, stream.name, steps + delay)
        for stream in self.stage.outputs:
            changed |= replaced(self.times.written, stream.name, events[-1] + delays[-1] + np.int32(self.late))
        return changed

    def activity(self, frame: int) -> StageActivity:
        """What it did between the first step of a frame and that of the next one."""
        events = self.events
        waits = self.waits(events)
        steps, values = np.concatenate(events), np.concatenate(waits)
        giving = np.repeat([False] * (len(waits) - 1) + [True], [len(wait) for wait in waits])
        order = np.argsort(steps, kind="stable")
        delay = np.maximum.accumulate(values[order])
        growth = np.diff(delay, prepend=np.int32(1))
        here = (steps[order] >= frame * self.steps) & (steps[order] < (frame + 1) * self.steps)
        blocked = int(growth[here & giving[order]].sum())
        source, target = self.stage.inputs[0], self.stage.outputs[0]
        return StageActivity(
            name=self.stage.name,
            first_cycle=int(self.times.read[source.name][frame * source.beats]),
            last_cycle=int(self.times.written[target.name][(frame + 1) * target.beats - 1]),
            working=self.steps,
            starved=int(growth[here].sum()) - blocked,
            blocked=blocked,
        )


def replaced(times: dict[str, np.ndarray], name: str, by: np.ndarray) -> bool:
    """Store `by`; whether it differs from what was there."""
    if np.array_equal(times[name], by):
        return False
    times[name] = by
    return True
