"""The stages through which one block of a shared body flows, all of them the same hardware for every block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from deepdive.hardware.stages.add import ResidualAdd
from deepdive.hardware.stages.arithmetic import WIDE_BITS, pair_field
from deepdive.hardware.stages.channel_scale import ChannelScale
from deepdive.hardware.stages.dense import Dense
from deepdive.hardware.stages.depthwise import Depthwise
from deepdive.hardware.stages.fork import Fork
from deepdive.hardware.stages.pool import GlobalAveragePool
from deepdive.hardware.stages.repack import Repack
from deepdive.hardware.stages.shared_block import (
    PointwiseFolding,
    SharedBlock,
    SharedDepthwise,
    SharedFolding,
    SharedLayer,
    SharedPointwise,
    padded,
)
from deepdive.hardware.stages.stage import PIPELINE_CYCLES, Stage
from deepdive.hardware.stages.table import Table
from deepdive.hardware.stages.taps import taps_of
from deepdive.hardware.stages.window import Window
from deepdive.hardware.stream import Stream

CODE_BITS = 8
"""Inside a shared body every code is an unsigned byte: signed ones are moved up by half their range at its ends, and
zero points and clips with them, so that blocks of all kinds share the same wires."""
WAITING_BEATS = 6
"""In front of a depthwise layer, in the FIFOs from the expansion on: two in each of three."""
Beats = int | np.ndarray
"""Of one folding, or of many."""


@dataclass(frozen=True)
class Common:
    """What all blocks of a body have in common.

    Parameters
    ----------
    kernel
        Of the window: the largest of all blocks'.
    kernels
        Sizes of their filters, each once.
    expand_bits, depthwise_bits, project_bits
        Of a weight: the most of all blocks'.
    dsp_bits
        Of the wider operand of a DSP.
    tables
        Parts behind which some block has a table; the others' codes pass it as they are.
    batch
        Frames whose factors come together; 1 where no block scales.
    cascade
        DSPs sum their products.
    """

    kernel: tuple[int, int]
    kernels: tuple[tuple[int, int], ...]
    expand_bits: int
    depthwise_bits: int
    project_bits: int
    dsp_bits: int
    tables: tuple[str, ...] = ()
    batch: int = 1
    cascade: bool = False

    @property
    def expand_field(self) -> int:
        """Distance of two products of the first pointwise part that share a DSP; 0: they do not."""
        return pair_field(self.expand_bits, self.dsp_bits)

    @property
    def project_field(self) -> int:
        """The same of the second pointwise part."""
        return pair_field(self.project_bits, self.dsp_bits)


def common(
    blocks: Sequence[SharedBlock], dsp_bits: int = WIDE_BITS, batch: int = 1, *, cascade: bool = False
) -> Common:
    """The hardware that all of `blocks` can run on."""
    kernels = sorted({block.depthwise.kernel for block in blocks if block.depthwise})
    return Common(
        kernel=(max((k[0] for k in kernels), default=1), max((k[1] for k in kernels), default=1)),
        kernels=tuple(kernels),
        expand_bits=max((block.expand.weight_bits for block in blocks if block.expand), default=2),
        depthwise_bits=max((block.depthwise.weight_bits for block in blocks if block.depthwise), default=2),
        project_bits=max((block.project.weight_bits for block in blocks if block.project), default=2),
        dsp_bits=dsp_bits,
        tables=tables_of(blocks),
        batch=batch if any(block.scale for block in blocks) else 1,
        cascade=cascade,
    )


def tables_of(blocks: Sequence[SharedBlock]) -> tuple[str, ...]:
    """Parts behind which some block has a table."""
    parts = ("expand", "depthwise", "project")
    return tuple(p for p in parts if any((layer := getattr(b, p)) and layer.table for b in blocks))


def tables_behind(blocks: Sequence[SharedBlock], part: str) -> tuple[str | None, ...]:
    """The tables behind a part, each once; None stands for layers that have none."""
    return tuple(dict.fromkeys(layer.table for block in blocks if (layer := getattr(block, part))))


@lru_cache(maxsize=1 << 14)
def block_chain(block: SharedBlock, folding: SharedFolding, shared: Common) -> tuple[Stage, ...]:
    """The stages of one block; the first reads words of the maps' memory, the last writes them."""
    return Chain(block, folding, shared).stages


class Chain:
    """Builds the chain part by part."""

    def __init__(self, block: SharedBlock, folding: SharedFolding, shared: Common) -> None:
        self.block, self.folding, self.shared = block, folding, shared
        self.stages: tuple[Stage, ...] = ()
        self.size = block.height, block.width
        self.inner = padded(block.middle, folding.inner)
        memory = folding.memory_lanes
        source = self.end = self.stream("source", padded(block.channels, folding.outer), memory)
        if block.add:
            self.end = source.model_copy(update={"name": "main"})
        if block.expand:
            self.pointwise("expand", block.expand, folding.expand, self.inner)
        self.repack("align", self.inner, folding.middle_lanes)
        if block.depthwise:
            self.depthwise()
        if block.pool:
            self.pool(block.pool)
        if block.scale:
            self.scale(block.scale)
        outer = padded(block.output[2], folding.outer)
        if block.project:
            lanes = folding.project.in_lanes if folding.project else 1
            self.repack("gather", self.inner, lanes, pixels=1 + self.early_pixels())
            self.pointwise("project", block.project, folding.project, outer)
        self.repack("pack", outer, memory)
        if block.add:
            skip = source.model_copy(update={"name": "skip", "depth": self.skip_depth(source)})
            fork = Fork(name="fork", input=source, output_a=source.model_copy(update={"name": "main"}), output_b=skip)
            given = self.stream("sum", outer, memory)
            add = ResidualAdd(name="add", node=block.add, input_a=skip, input_b=self.end, output=given)
            self.stages = (fork, *self.stages, add)

    def stream(self, name: str, channels: int, lanes: int, *, taps: int = 1, pixels: int = 0, beats: int = 0) -> Stream:
        """A stream of the map's present size, with room for two beats, some pixels and some beats."""
        return Stream(
            name=name,
            height=self.size[0],
            width=self.size[1],
            channels=channels,
            lanes=lanes,
            bits=CODE_BITS,
            taps=taps,
            depth=2 + pixels * channels // lanes + beats,
        )

    def put(self, stage: Stage) -> None:
        """One more stage."""
        self.stages = (*self.stages, stage)

    def repack(self, name: str, channels: int, lanes: int, pixels: int = 0) -> None:
        """To other lanes, and another padding; `pixels` wait behind it."""
        given = self.stream(f"{name}_out", channels, lanes, pixels=pixels)
        self.put(Repack(name=name, input=self.end, output=given))
        self.end = given

    def pointwise(self, role: str, layer: SharedPointwise, how: PointwiseFolding | None, channels: int) -> None:
        """A pointwise layer to padded `channels`."""
        if how is None:
            raise ValueError(f"the folding of a shared body has no {role}, and '{layer.node}' needs one")
        if role == "expand":
            self.repack("feed", self.end.channels, how.in_lanes, pixels=1)
        # The sums of a turn come in a row, even where what follows takes several cycles a beat: the next turn goes on.
        burst = how.out_parallel // how.lanes
        given = self.stream(f"{role}_out", channels, how.lanes, beats=burst if burst > 1 else 0)
        self.put(
            Dense(
                kind="pointwise",
                name=role,
                node=layer.node,
                input=self.end,
                output=given,
                out_parallel=how.out_parallel,
                weight_bits=self.shared.expand_bits if role == "expand" else self.shared.project_bits,
                pair_field=self.shared.expand_field if role == "expand" else self.shared.project_field,
                requantizer=layer.requantizer,
                cascade=self.shared.cascade,
            )
        )
        self.end = given
        self.table(role, layer)

    def table(self, part: str, layer: SharedPointwise | SharedDepthwise) -> None:
        """What looks codes up behind a part; those of a layer without a table pass it, as slow as the others."""
        if part not in self.shared.tables:
            return
        given = self.stream(f"{part}_table_out", self.end.channels, self.end.lanes)
        self.put(Table(name=f"{part}_table", node=layer.table or layer.node, input=self.end, output=given))
        self.end = given

    def depthwise(self) -> None:
        """Window and depthwise layer; a filter smaller than the window stands in its middle."""
        layer, kernel = self.block.depthwise, self.shared.kernel
        assert layer is not None
        self.size = layer.output(*self.size)
        taps, lanes = kernel[0] * kernel[1], self.folding.middle_lanes
        windows = self.stream("windows", self.inner, lanes, taps=taps)
        self.put(
            Window(
                name="window",
                input=self.end,
                output=windows,
                kernel=kernel,
                stride=layer.stride,
                padding=layer.within(kernel),
                zero_point=(0,),
            )
        )
        self.end = self.stream("depthwise_out", self.inner, lanes)
        self.put(
            Depthwise(
                name="depthwise",
                node=layer.node,
                input=windows,
                output=self.end,
                weight_bits=self.shared.depthwise_bits,
                requantizer=layer.requantizer,
                fabric=self.folding.fabric,
                cascade=self.shared.cascade,
                taps=taps_of(layer.kernel, kernel, self.shared.kernels, self.folding.taps)
                if self.folding.taps
                else None,
            )
        )
        self.table("depthwise", layer)

    def pool(self, layer: SharedLayer) -> None:
        """The means of all pixels."""
        self.size = 1, 1
        given = self.stream("means", self.inner, self.folding.middle_lanes)
        self.put(
            GlobalAveragePool(name="pool", node=layer.node, input=self.end, output=given, requantizer=layer.requantizer)
        )
        self.end = given

    def scale(self, layer: SharedLayer) -> None:
        """Every pixel times the factors, which come in front of the map: those of all frames wait in a FIFO."""
        size, self.size = self.size, (1, 1)
        memory = self.folding.memory_lanes
        came = self.stream("factors", padded(self.block.middle, self.folding.outer), memory, pixels=self.shared.batch)
        factors = self.stream("factors_align_out", self.inner, self.folding.middle_lanes)
        self.put(Repack(name="factors_align", input=came, output=factors))
        self.size = size
        given = self.stream("scale_out", self.inner, self.folding.middle_lanes)
        self.put(
            ChannelScale(
                name="scale",
                node=layer.node,
                input=self.end,
                factors=factors,
                output=given,
                requantizer=layer.requantizer,
            )
        )
        self.end = given

    def early_pixels(self) -> int:
        """What a strided window gives too early, a row at a time: as in ``deepdive.compiler.fifos``."""
        layer = self.block.depthwise
        if layer is None or layer.stride[0] == 1:
            return 0
        rest = self.size[1] - self.size[1] // layer.stride[0]
        return rest * 2 if self.block.height % layer.stride[0] else rest

    def skip_depth(self, source: Stream) -> int:
        """Beats that wait while the block's other branch computes the same pixels.

        As in ``deepdive.compiler.fifos``: the window looks ahead by its lag, a pointwise stage keeps two pixels, a
        repack one, and every stage what is in its pipeline. So do the routes and selects, which are no stages.
        """
        pixels = 2
        for stage in self.stages:
            pixels += math.ceil(PIPELINE_CYCLES / stage.outputs[0].groups)
            if isinstance(stage, Window):
                pixels += stage.lag_pixels
            pixels += {"pointwise": 2, "repack": 1}.get(stage.kind, 0)
        return pixels * source.groups + 3 * PIPELINE_CYCLES


def chain_cycles(chain: Sequence[Stage], frames: int) -> int:
    """Clock cycles in which `frames` frames, back to back, pass a chain that was idle before.

    Two times are carried along every stream: of its first and of its last beat. A stage's first output beat follows the
    input beat that completes it (`fill_beats`, input beats coming evenly); its last one follows the last input beat by
    `drain_cycles`, but comes no earlier than its own loops allow: those of a dense stage that takes several turns over
    a pixel begin when all of the first one is there. Every stage adds the latency of its pipeline. While a depthwise
    layer takes several steps over a beat, the window in front of it stands still, and what comes meanwhile waits: of a
    strided one, the pixels between the windows then take as long as the slowest stage in front of it takes over one.
    Factors come in front of the map.

    Once the last beat has come, a window gives all that it still owes in a row (`tail_windows`): however far a stage
    behind it has got by then, so many pixels are still before it. On small maps they are most of a frame, or several.
    """
    source, factors = chain[0].inputs[0], factors_of(chain)
    ahead = frames * factors.beats if factors else 0
    times = {source.name: (float(ahead), float(ahead + frames * source.beats))}
    if factors:
        times[factors.name] = 0.0, float(ahead)
    last = 0.0
    raster = before = slowest = 0
    sides = 0, 0
    tail, tail_from = 0, 0.0
    for stage in chain:
        steps = stage.interval_cycles
        paced: float = steps
        slowest = max(slowest, steps)
        if isinstance(stage, Window):
            raster, before = steps, slowest
            sides = (stage.input.height * stage.input.width, stage.output.height * stage.output.width)
        elif isinstance(stage, Depthwise) and stage.folded.steps > 1:
            steps += raster - stage.output.beats
            paced = max(steps, float(cycles_in_turns(sides, stage.input.groups, before, stage.folded.steps)))
        arrivals = [times[stream.name] for stream in stage.inputs]
        first_in, last_in = max(first for first, _ in arrivals), max(last for _, last in arrivals)
        pace = (last_in - first_in) / max(frames * stage.inputs[0].beats - 1, 1)
        if isinstance(stage, Dense) and stage.out_groups > 1:
            first_in += (stage.input.groups - 1) * max(pace - 1, 0)
        fill = stage.fill_beats
        if isinstance(stage, Window):
            # On a small map a window looks ahead further than a frame, into the ones that follow.
            fill = min(stage.lag_pixels * stage.input.groups + 1, frames * stage.input.beats)
        first_out = first_in + (fill - 1) * pace + PIPELINE_CYCLES
        pools = isinstance(stage, GlobalAveragePool)
        counted = stage.inputs[0] if pools else stage.outputs[0]
        aside = stage.inputs[0] == factors
        behind = tail_from + tail * steps / (counted.height * counted.width) if tail and not aside else 0
        last = max(max(last_in, behind) + stage.drain_cycles, first_in + frames * paced) + PIPELINE_CYCLES
        if isinstance(stage, Window):
            # If it owes all of them, the stages behind begin only now, and the first beat's time says it.
            tail, tail_from = stage.tail_windows, last_in
            tail = tail if tail < frames * counted.height * counted.width else 0
        tail, tail_from = 0 if pools else tail, tail_from + (0 if aside else PIPELINE_CYCLES)
        for stream in stage.outputs:
            times[stream.name] = (first_out, last)
    return round(last)


def factors_of(chain: Sequence[Stage]) -> Stream | None:
    """The words of factors that a chain reads in front of its map."""
    return next((stage.inputs[0] for stage in chain if stage.name == "factors_align"), None)


def fifos(chain: Sequence[Stage]) -> tuple[Stream, ...]:
    """All streams inside a chain."""
    factors = factors_of(chain)
    return (*(stream for stage in chain for stream in stage.outputs), *([factors] if factors else []))


def cycles_in_turns(sides: tuple[int, int], groups: Beats, slowest: Beats, turns: Beats) -> np.ndarray:
    """Clock cycles a frame at a depthwise layer that takes several turns over each window.

    Little makes up for the turns in the shorter time until the next window: `WAITING_BEATS`.

    Parameters
    ----------
    sides
        Pixels that come, and windows.
    groups, slowest, turns
        Beats a pixel; clock cycles in which all of them come if nothing holds them up; turns over a beat.
    """
    pixels, windows = sides
    between = min(windows, max(pixels - windows, 0))
    pace = np.maximum(slowest / (pixels * groups), 1)
    behind = np.maximum(groups - WAITING_BEATS, 0) * pace
    rest = max(pixels - windows - between, 0) * groups * pace
    return np.asarray(windows * groups * np.maximum(turns, pace) + between * np.maximum(groups, behind) + rest)
