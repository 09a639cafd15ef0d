"""Cycles of the blocks of a shared body for thousands of foldings at once: as `chain_cycles` and `SharedBody` count."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from deepdive.hardware.stages import PIPELINE_CYCLES, PointwiseFolding, SharedBlock, SharedFolding
from deepdive.hardware.stages.shared_chain import Common, cycles_in_turns
from deepdive.hardware.stages.taps import taps_of
from deepdive.hardware.stages.window import Window
from deepdive.hardware.stream import Stream


@dataclass(frozen=True)
class Pointwises:
    """Many a `PointwiseFolding`, int64 (n,) each; all zero where the foldings have no such part."""

    in_lanes: np.ndarray
    out_parallel: np.ndarray
    lanes: np.ndarray

    def take(self, rows: np.ndarray) -> Pointwises:
        """Some of them."""
        return Pointwises(*(getattr(self, field.name)[rows] for field in fields(self)))

    def at(self, row: int) -> PointwiseFolding | None:
        """One of them."""
        if not self.in_lanes[row]:
            return None
        return PointwiseFolding(
            in_lanes=int(self.in_lanes[row]), out_parallel=int(self.out_parallel[row]), lanes=int(self.lanes[row])
        )

    @property
    def multipliers(self) -> np.ndarray:
        """Multiplications a clock cycle."""
        return self.in_lanes * self.out_parallel


@dataclass(frozen=True)
class Foldings:
    """Many a `SharedFolding`, but for `fabric`, `dsp_bits`, `cascade`; int64 (n,) each; `taps` are as many as are
    multiplied at once."""

    expand: Pointwises
    middle_lanes: np.ndarray
    taps: np.ndarray
    project: Pointwises
    memory_lanes: np.ndarray

    def __len__(self) -> int:
        return len(self.middle_lanes)

    def take(self, rows: np.ndarray) -> Foldings:
        """Some of them."""
        return Foldings(
            self.expand.take(rows),
            self.middle_lanes[rows],
            self.taps[rows],
            self.project.take(rows),
            self.memory_lanes[rows],
        )

    def at(self, row: int, *, fabric: bool, dsp_bits: int, cascade: bool = False) -> SharedFolding:
        """One of them."""
        return SharedFolding(
            expand=self.expand.at(row),
            middle_lanes=int(self.middle_lanes[row]),
            taps=int(self.taps[row]),
            project=self.project.at(row),
            memory_lanes=int(self.memory_lanes[row]),
            fabric=fabric,
            dsp_bits=dsp_bits,
            cascade=cascade,
        )

    @property
    def columns(self) -> np.ndarray:
        """Every number: int64 (9, n)."""
        expand, project = ((part.in_lanes, part.out_parallel, part.lanes) for part in (self.expand, self.project))
        return np.stack([*expand, self.middle_lanes, self.taps, *project, self.memory_lanes])

    @classmethod
    def of(cls, columns: np.ndarray) -> Foldings:
        """Foldings out of their columns."""
        return cls(Pointwises(*columns[:3]), columns[3], columns[4], Pointwises(*columns[5:8]), columns[8])

    @cached_property
    def outer(self) -> np.ndarray:
        """Channels of maps in memory are padded to a multiple of it."""
        parts = np.maximum(self.expand.in_lanes, 1), np.maximum(self.project.out_parallel, 1)
        return np.lcm(np.lcm(*parts), self.memory_lanes)

    @cached_property
    def inner(self) -> np.ndarray:
        """Channels between the pointwise layers are padded to a multiple of it."""
        parts = np.maximum(self.expand.out_parallel, 1), np.maximum(self.project.in_lanes, 1)
        return np.lcm(np.lcm(*parts), self.middle_lanes)


def joined(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where one number of lanes divides the other."""
    return np.asarray((a % b == 0) | (b % a == 0))


def up(channels: int | np.ndarray, multiple: int | np.ndarray) -> np.ndarray:
    """`channels` rounded up to a multiple."""
    return np.asarray(-(-channels // multiple) * multiple)


class Flow:
    """The times of the first and the last beat along a chain, for all foldings: see `chain_cycles`."""

    def __init__(self, frames: int, beats: np.ndarray) -> None:
        self.frames, self.beats = frames, beats
        self.first, self.last = np.zeros(len(beats)), (frames * beats).astype(float)
        self.tail, self.tail_from = 0, np.zeros(len(beats))
        self.slowest = np.zeros(len(beats))

    def through(
        self,
        interval: np.ndarray,
        beats: np.ndarray,
        *,
        fill: np.ndarray | int = 1,
        drain: np.ndarray | int = 0,
        gathers: np.ndarray | int = 0,
        pixels: int = 1,
        paced: np.ndarray | None = None,
    ) -> None:
        """One stage further, to a stream of so many beats; `gathers` are beats that must be there before it begins.

        The windows of the tail are so many of its `pixels`. Where what comes holds it up, a frame takes `paced`.
        """
        pace = (self.last - self.first) / np.maximum(self.frames * self.beats - 1, 1)
        began = self.first + gathers * np.maximum(pace - 1, 0)
        self.first = began + (fill - 1) * pace + PIPELINE_CYCLES
        behind = self.tail_from + self.tail * interval / pixels if self.tail else np.zeros(len(self.beats))
        self.last = np.maximum(
            np.maximum(self.last, behind) + drain, began + self.frames * (interval if paced is None else paced)
        )
        self.last = self.last + PIPELINE_CYCLES
        self.slowest = np.maximum(self.slowest, interval)
        self.tail_from = self.tail_from + PIPELINE_CYCLES
        self.beats = beats

    def look_up(self, part: str, shared: Common, pixels: int) -> None:
        """The table behind a part, if the body has one there."""
        if part in shared.tables:
            self.through(self.beats, self.beats, pixels=pixels)

    def windows(self, one: Window, steps: np.ndarray, beats: np.ndarray) -> None:
        """Through a window, in so many steps, to so many beats; `one` is a channel wide."""
        groups = beats // (one.output.height * one.output.width)
        came, fill = self.last, np.minimum(one.lag_pixels * groups + 1, self.frames * self.beats)
        self.through(steps, beats, fill=fill, drain=one.drain_cycles * groups)
        self.tail = one.tail_windows if one.tail_windows < self.frames * one.output.beats else 0
        self.tail_from = came + PIPELINE_CYCLES

    def repack(
        self, pixels: int, channels: tuple[np.ndarray, np.ndarray], lanes: tuple[np.ndarray, np.ndarray]
    ) -> np.ndarray:
        """To other lanes, and another padding; returns which foldings cannot: lanes that do not divide each other."""
        steps = np.maximum(*channels) // np.minimum(*lanes)
        fill, drain = np.maximum(1, lanes[1] // lanes[0]), np.maximum(1, lanes[0] // lanes[1]) - 1
        self.through(pixels * steps, pixels * channels[1] // lanes[1], fill=fill, drain=drain, pixels=pixels)
        return np.asarray((np.maximum(*lanes) % np.minimum(*lanes)) > 0)

    def pointwise(self, pixels: int, channels: tuple[np.ndarray, np.ndarray], how: Pointwises) -> np.ndarray:
        """A pointwise layer; returns which foldings cannot: their requantizers would not follow."""
        groups, turns = channels[0] // how.in_lanes, channels[1] // how.out_parallel
        self.through(
            pixels * groups * turns,
            pixels * channels[1] // how.lanes,
            fill=groups,
            drain=groups * (turns - 1) + how.out_parallel // how.lanes - 1,
            gathers=np.where(turns > 1, groups - 1, 0),
            pixels=pixels,
        )
        return np.asarray(groups * how.lanes < how.out_parallel)


def tap_steps(block: SharedBlock, shared: Common, taps: np.ndarray) -> np.ndarray:
    """Steps that a depthwise layer takes over the windows of a group of lanes: int64 (n,)."""
    assert block.depthwise is not None
    several, which = np.unique(taps, return_inverse=True)
    steps = [taps_of(block.depthwise.kernel, shared.kernel, shared.kernels, int(one)).steps for one in several]
    return np.array(steps, dtype=np.int64)[which.ravel()]


def chain(block: SharedBlock, foldings: Foldings, shared: Common, frames: int) -> np.ndarray:
    """Clock cycles in which frames pass a block's chain, float64 (n,); infinite where a folding cannot compute it.

    Parameters
    ----------
    shared
        What all blocks have in common.
    """
    height, width = block.filtered
    pixels, given = block.height * block.width, height * width
    memory, middle = foldings.memory_lanes, foldings.middle_lanes
    channels, inner = up(block.channels, foldings.outer), up(block.middle, foldings.inner)
    ahead = frames * factor_words(block, foldings)
    flow, lanes = Flow(frames, pixels * channels // memory), memory
    flow.first, flow.last = flow.first + ahead, flow.last + ahead
    bad = np.zeros(len(foldings), dtype=bool)
    if block.add:
        flow.through(flow.beats, flow.beats)
    if block.expand:
        bad |= flow.repack(pixels, (channels, channels), (lanes, foldings.expand.in_lanes))
        bad |= flow.pointwise(pixels, (channels, inner), foldings.expand)
        flow.look_up("expand", shared, pixels)
        channels, lanes = inner, foldings.expand.lanes
    bad |= flow.repack(pixels, (channels, inner), (lanes, middle))
    channels, lanes = inner, middle
    if block.depthwise:
        one = window(block, shared.kernel)
        steps, groups = one.interval_cycles, inner // middle
        flow.windows(one, steps * groups, given * groups)
        turns = tap_steps(block, shared, foldings.taps)
        standing = ((turns - 1) * given + np.where(turns > 1, steps, given)) * groups
        held = np.maximum(standing, cycles_in_turns((pixels, given), groups, flow.slowest, turns))
        paced = np.where(turns > 1, held, standing)
        flow.through(standing, given * groups, drain=turns - 1, pixels=given, paced=paced)
        flow.look_up("depthwise", shared, given)
    if block.pool:
        groups = inner // middle
        flow.through(given * groups, groups, fill=given * groups - groups + 1, pixels=given)
        given, flow.tail = 1, 0
    if block.scale:
        factors = Flow(frames, factor_words(block, foldings))
        bad |= factors.repack(1, (up(block.middle, foldings.outer), inner), (memory, middle))
        flow.first, flow.last = np.maximum(flow.first, factors.first), np.maximum(flow.last, factors.last)
        flow.through(flow.beats, flow.beats, pixels=given)
    outer = up(block.output[2], foldings.outer)
    if block.project:
        bad |= flow.repack(given, (inner, inner), (lanes, foldings.project.in_lanes))
        bad |= flow.pointwise(given, (inner, outer), foldings.project)
        flow.look_up("project", shared, given)
        channels, lanes = outer, foldings.project.lanes
    bad |= flow.repack(given, (channels, outer), (lanes, memory))
    if block.add:
        flow.through(flow.beats, flow.beats, pixels=given)
    return np.where(bad, np.inf, np.rint(flow.last))


def factor_words(block: SharedBlock, foldings: Foldings) -> np.ndarray:
    """Words of factors that a block reads a frame: int64 (n,)."""
    return up(block.middle if block.scale else 0, foldings.outer) // foldings.memory_lanes


def window(block: SharedBlock, kernel: tuple[int, int]) -> Window:
    """The block's window, one channel wide."""
    layer = block.depthwise
    assert layer is not None
    height, width = block.filtered
    source = Stream(name="source", height=block.height, width=block.width, channels=1, lanes=1, bits=8)
    target = Stream(name="target", height=height, width=width, channels=1, lanes=1, bits=8, taps=kernel[0] * kernel[1])
    return Window(
        name="window",
        input=source,
        output=target,
        kernel=kernel,
        stride=layer.stride,
        padding=layer.within(kernel),
        zero_point=(0,),
    )
