"""In which steps of its loop a stage takes and gives beats: what the pipeline's simulation knows of a stage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch

import numpy as np

from deepdive.hardware.stages import (
    ChannelScale,
    Concat,
    Dense,
    Depthwise,
    GlobalAveragePool,
    Pad,
    Repack,
    SharedBody,
    Stage,
    Window,
)


@dataclass(frozen=True, eq=False)
class Loop:
    """One frame of a stage's loop.

    Parameters
    ----------
    steps
        Clock cycles a frame, never stalled.
    reads
        For each input the step that takes each of its beats, ascending, int64 (beats,).
    writes
        The step that computes each beat of every output, ascending; may lie in the next frame's steps.
    """

    steps: int
    reads: tuple[np.ndarray, ...]
    writes: np.ndarray


@singledispatch
def loop(stage: Stage) -> Loop:
    """The loop of a stage; by default a beat of every input in, a beat of every output out, each step."""
    steps = np.arange(stage.interval_cycles)
    if any(stream.beats != len(steps) for stream in (*stage.inputs, *stage.outputs)):
        raise TypeError(f"no loop is known for stage '{stage.name}' ({type(stage).__name__})")
    return Loop(len(steps), tuple(steps for _ in stage.inputs), steps)


@loop.register
def _(stage: ChannelScale) -> Loop:
    steps = np.arange(stage.input.beats)
    return Loop(len(steps), (steps, steps[: stage.input.groups]), steps)


@loop.register
def _(stage: Concat) -> Loop:
    steps = np.arange(stage.interval_cycles)
    turns = steps.reshape(-1, stage.output.groups)
    a = stage.input_a.groups
    return Loop(len(steps), (turns[:, :a].ravel(), turns[:, a:].ravel()), steps)


@loop.register
def _(stage: GlobalAveragePool) -> Loop:
    steps = np.arange(stage.input.beats)
    return Loop(len(steps), (steps,), steps[len(steps) - stage.input.groups :])


@loop.register
def _(stage: Repack) -> Loop:
    pixels = np.arange(stage.output.height * stage.output.width)[:, None] * stage.pixel_cycles
    taken, given = (stream.lanes // stage.narrow_lanes for stream in (stage.input, stage.output))
    reads = pixels + np.arange(stage.input.groups) * taken
    writes = pixels + (np.arange(stage.output.groups) + 1) * given - 1
    return Loop(stage.interval_cycles, (reads.ravel(),), writes.ravel())


@loop.register
def _(stage: Pad) -> Loop:
    top, left, _, _ = stage.padding
    rows, columns = np.arange(stage.input.height) + top, np.arange(stage.input.width) + left
    taken = beats(rows, columns, stage.output.width, stage.output.groups)
    return Loop(stage.interval_cycles, (taken,), np.arange(stage.interval_cycles))


@loop.register
def _(stage: Dense) -> Loop:
    groups, turns = stage.input.groups, stage.out_parallel // stage.output.lanes
    steps = stage.interval_cycles // (stage.output.height * stage.output.width)
    pixels = np.arange(stage.output.height * stage.output.width) * steps
    done = (np.arange(stage.out_groups) + 1)[:, None] * groups + np.arange(turns)
    reads = pixels[:, None] + np.arange(groups)
    return Loop(stage.interval_cycles, (reads.ravel(),), (pixels[:, None] + done.ravel()).ravel())


@loop.register
def _(stage: Depthwise) -> Loop:
    if stage.pixel_pair:
        reads, writes = np.arange(stage.input.beats) * stage.beat_steps, np.arange(stage.output.beats)
        return Loop(stage.interval_cycles, (reads,), writes + stage.input.groups + 1)
    first = np.arange(stage.output.beats) * stage.folded.steps
    return Loop(stage.interval_cycles, (first,), first + stage.folded.steps - 1)


@loop.register
def _(stage: Window) -> Loop:
    groups, width = stage.input.groups, stage.row_pixels
    height = stage.interval_cycles // (width * groups)
    taken = beats(np.arange(stage.input.height), np.arange(stage.input.width), width, groups)
    rows = np.arange(stage.output.height) * stage.grid.stride[0]
    columns = np.arange(stage.output.width) * stage.grid.stride[1]
    given = beats(rows, columns, width, groups) + stage.lag_pixels * groups
    return Loop(height * width * groups, (taken,), given)


@loop.register
def _(stage: SharedBody) -> Loop:
    """Frames come in and go out at an even pace, each two phases after it came: memory takes up what comes sooner.

    The units in front of it and behind it need not keep up with its bursts, only with a frame an interval.
    """
    steps, later = stage.interval_cycles, 2 * stage.batch * stage.interval_cycles
    reads, writes = (np.arange(stream.beats) * steps // stream.beats for stream in (stage.input, stage.output))
    return Loop(steps, (reads,), later + writes)


def beats(rows: np.ndarray, columns: np.ndarray, width: int, groups: int) -> np.ndarray:
    """Steps of all groups of the pixels in these rows and columns of a raster."""
    pixels = rows[:, None] * width + columns
    return np.asarray((pixels.reshape(-1, 1) * groups + np.arange(groups)).ravel())
