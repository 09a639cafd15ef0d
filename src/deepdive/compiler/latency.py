"""The latency of a design's first frame: shared units take batches in, work on them, and give them out in a row."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from deepdive.compiler.pipeline import BEHIND, NEVER, Node, Times, replaced, scheduled
from deepdive.hardware.stages import PIPELINE_CYCLES, SharedBody, Stage
from deepdive.hardware.stages.shared_body import MEMORY_CYCLES, START_CYCLES
from deepdive.hardware.units import Unit


def simulate_latency(units: Sequence[Unit]) -> int:
    """Clock cycles from a frame's first beat in to its last beat out, of the first frame; others follow it at once.

    A shared unit waits for as many frames as it takes at a time, and begins then: in steady state, where frames come
    as they go, the phases of its neighbours do not meet so well, and a frame is up to a phase a shared unit longer
    on its way.

    Raises
    ------
    CheckFailed
        When the FIFOs are too shallow and nothing moves any more.
    """
    batches = [stage.batch for unit in units for stage in unit.stages if isinstance(stage, SharedBody)]
    together = math.lcm(*batches)
    frames = math.ceil((1 + BEHIND) / together) * together
    nodes, times = scheduled(units, frames, PIPELINE_CYCLES, batch_node)
    return int(times.ends(nodes[-1].stage.outputs[0])[0])


def batch_node(stage: Stage, times: Times, frames: int, pipeline: int) -> Node:
    """A stage at work, a shared body batch by batch."""
    kind = BatchNode if isinstance(stage, SharedBody) else Node
    return kind(stage, times, frames, pipeline)


class BatchNode(Node):
    """A shared body: beats of a batch come in while there is room, blocks run once all are there, beats go out.

    Two batches have room at either end. Their number of frames is a multiple of the body's batch.
    """

    def update(self) -> bool:
        """Let every event take place as early as the other stages' times allow; whether anything changed."""
        stage = self.stage
        assert isinstance(stage, SharedBody)
        source, target, batch = stage.inputs[0], stage.outputs[0], stage.batch
        there, taken = self.times.written[source.name], self.times.read[target.name]
        if len(self.seen) and np.array_equal(self.seen[0], there) and np.array_equal(self.seen[1], taken):
            return False
        self.seen = [there, taken]
        came = source.name in self.times.has_writer
        memory = MEMORY_CYCLES if stage.maps == "external" else 0
        work = sum(stage.schedule) + START_CYCLES
        reads, writes = np.full_like(there, NEVER), np.full_like(taken, NEVER)
        into = paced(batch * source.beats, batch * max(source.beats, stage.words(source.shape)))
        out = paced(batch * target.beats, batch * max(target.beats, stage.words(target.shape)))
        runs, unloaded, loaded = [0, 0], [0, 0], 0
        for first in range(self.frames // batch):
            part = slice(first * len(into), (first + 1) * len(into))
            wait = there[part] + 1 - into if came else np.ones_like(into)
            begin = max(runs[-2], loaded + 1)
            reads[part] = np.maximum(np.maximum.accumulate(wait), begin) + into
            loaded = int(reads[part][-1])
            run = max(loaded + PIPELINE_CYCLES + memory, runs[-1], unloaded[-2]) + work
            part = slice(first * len(out), (first + 1) * len(out))
            writes[part] = self._given(part, out, max(run + memory, unloaded[-1] + 1), taken)
            runs.append(run)
            unloaded.append(int(writes[part][-1]))
        changed = replaced(self.times.read, source.name, reads)
        return replaced(self.times.written, target.name, writes) or changed

    def _given(self, part: slice, out: np.ndarray, begin: int, taken: np.ndarray) -> np.ndarray:
        """When the beats of a batch are written, not before `begin` and not before there is room for each."""
        target = self.stage.outputs[0]
        wait = np.full_like(out, begin)
        if target.name in self.times.has_reader:
            behind = np.arange(part.start, part.stop) - target.depth
            room = np.where(behind >= 0, taken[np.maximum(behind, 0)] + 1, 0)
            wait = np.maximum(wait, room - out)
        return np.asarray(np.maximum.accumulate(wait) + out)


def paced(beats: int, cycles: int) -> np.ndarray:
    """When each of some beats moves if they take so many clock cycles together: int32 (beats,)."""
    return (np.arange(beats, dtype=np.int64) * cycles // beats).astype(np.int32)
