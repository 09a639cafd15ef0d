"""What the compiler decides about before it decides on lanes: operations joined by edges, grouped into units.

An operation becomes a stage and an edge becomes a stream once the folding is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, NamedTuple

from deepdive.hardware.stages import (
    AnyStage,
    ChannelScale,
    Concat,
    Dense,
    Depthwise,
    Flatten,
    Fork,
    GlobalAveragePool,
    Pad,
    PixelPair,
    Repack,
    ResidualAdd,
    SharedBody,
    Table,
    Window,
    WindowPool,
)
from deepdive.hardware.stream import Stream
from deepdive.hardware.units import UnitKind

STAGES: dict[str, Callable[..., AnyStage]] = {
    "window": Window,
    "conv": Dense,
    "pointwise": Dense,
    "linear": Dense,
    "depthwise": Depthwise,
    "add": ResidualAdd,
    "global_avg_pool": GlobalAveragePool,
    "channel_scale": ChannelScale,
    "concat": Concat,
    "max_pool": WindowPool,
    "avg_pool": WindowPool,
    "flatten": Flatten,
    "pad": Pad,
    "table": Table,
    "fork": Fork,
    "repack": Repack,
    "shared_body": SharedBody,
}
PORTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "add": (("input_a", "input_b"), ("output",)),
    "channel_scale": (("input", "factors"), ("output",)),
    "concat": (("input_a", "input_b"), ("output",)),
    "fork": (("input",), ("output_a", "output_b")),
}
DENSE = ("conv", "pointwise", "linear")
JOINS = ("add", "channel_scale", "concat")
"""Operations that read two edges, at the same lanes."""


class Way(NamedTuple):
    """How an edge can travel: `lanes` channels a beat, after `padding` channels were added to the map's.

    Windows may travel with what two output pixels need in one (`pixels`).
    """

    lanes: int
    padding: int = 0
    pixels: int = 1

    @property
    def one_pixel(self) -> Way:
        """The same for windows of one pixel, or for a map."""
        return self._replace(pixels=1)


@cache
def lanes_of(channels: int) -> tuple[int, ...]:
    """Every number of lanes that divides the channels, ascending."""
    return tuple(n for n in range(1, channels + 1) if channels % n == 0)


@cache
def ways_of(channels: int, paddings: tuple[int, ...], pairs: bool = False) -> tuple[Way, ...]:
    """All lanes that divide the channels with one of the paddings, ascending; even ones for `pairs`, too."""
    ways = [Way(lanes, padding) for padding in paddings for lanes in lanes_of(channels + padding)]
    return tuple(sorted(ways + [way._replace(pixels=2) for way in ways if pairs and way.lanes % 2 == 0]))


@dataclass(frozen=True)
class Edge:
    """A stream without lanes and depth.

    `paddings` are the numbers of channels that may be added, so that more lanes divide them; see `padding`. Windows of
    a depthwise layer whose rows have an even number of pixels may travel as those of a `pixel_pair`.
    """

    name: str
    height: int
    width: int
    channels: int
    bits: int
    signed: bool
    taps: int = 1
    paddings: tuple[int, ...] = (0,)
    pixel_pair: PixelPair | None = None

    def of_pixels(self, pixels: int) -> Edge:
        """The same edge when each window holds what so many pixels need."""
        if pixels == 1 or self.pixel_pair is None:
            return self
        return replace(self, width=self.width // pixels, taps=self.pixel_pair.window_taps, pixel_pair=None)

    def stream(self, way: Way, depth: int = 2) -> Stream:
        """The stream at a folding."""
        edge = self.of_pixels(way.pixels)
        return Stream(
            name=self.name,
            height=self.height,
            width=edge.width,
            channels=self.channels + way.padding,
            padding=way.padding,
            lanes=way.lanes,
            bits=self.bits,
            signed=self.signed,
            taps=edge.taps,
            depth=depth,
        )

    @property
    def shape(self) -> tuple[object, ...]:
        """Everything but the name."""
        size = self.height, self.width, self.channels
        return *size, self.bits, self.signed, self.taps, self.paddings, self.pixel_pair

    @property
    def ways(self) -> tuple[Way, ...]:
        """Every way it can travel, ascending."""
        return ways_of(self.channels, self.paddings, self.pixel_pair is not None)

    def groups(self, way: Way) -> int:
        """Beats a pixel."""
        return (self.channels + way.padding) // way.lanes


@dataclass(frozen=True)
class Operation:
    """A stage without its folding.

    Parameters
    ----------
    fields
        Those of the stage that are no streams.
    hurry
        How many times faster than the frame interval it must be: a map waits for it meanwhile.
    choices
        Finished stages to choose from, for an operation whose foldings were found before.
    """

    kind: str
    name: str
    inputs: tuple[Edge, ...]
    outputs: tuple[Edge, ...]
    fields: Mapping[str, Any] = field(default_factory=dict)
    hurry: int = 1
    choices: tuple[AnyStage, ...] = ()

    def stage(self, inputs: tuple[Stream, ...], outputs: tuple[Stream, ...], folding: Mapping[str, Any]) -> AnyStage:
        """The stage at a folding; what it says of a field counts more than the operation's own."""
        names = PORTS.get(self.kind, (("input",), ("output",)))
        ports = dict(zip((*names[0], *names[1]), (*inputs, *outputs), strict=True))
        made: AnyStage = STAGES[self.kind](kind=self.kind, name=self.name, **ports, **{**self.fields, **folding})
        return made

    @property
    def shape(self) -> tuple[object, ...]:
        """Everything that options and costs depend on: operations of one shape share them."""
        fields = tuple(sorted((key, value) for key, value in self.fields.items() if key != "node"))
        if self.choices:
            return self.kind, self.name
        return self.kind, tuple(edge.shape for edge in (*self.inputs, *self.outputs)), fields, self.hurry


@dataclass(frozen=True)
class UnitPlan:
    """A compute unit without folding: its operations in order of the data flow."""

    name: str
    kind: UnitKind
    input_map: str
    blocks: tuple[str, ...]
    operations: tuple[Operation, ...]


def renamed(edge: Edge, name: str) -> Edge:
    """The same edge under another name."""
    return replace(edge, name=name)
