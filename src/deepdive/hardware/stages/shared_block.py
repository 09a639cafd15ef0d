"""What a shared compute unit is told of one block: which layers, how large, and how the multipliers are folded."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deepdive.hardware.stages.stage import Requantizer


class Description(BaseModel):
    """A value that goes into a Design's JSON and back."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SharedLayer(Description):
    """What has a node and requantizes: by itself a pool or a scale, which have one mult and shift for all channels."""

    node: str
    requantizer: Requantizer


class SharedPointwise(SharedLayer):
    """A pointwise layer of a block, with the table behind it; channels as the network has them."""

    in_channels: int = Field(ge=1)
    out_channels: int = Field(ge=1)
    weight_bits: int = Field(ge=2, le=9)
    table: str | None = None

    @property
    def weights(self) -> int:
        """Weights that the network has."""
        return self.in_channels * self.out_channels


class SharedDepthwise(SharedLayer):
    """A depthwise layer of a block, with the table behind it; padding is (top, left, bottom, right)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    weight_bits: int = Field(ge=2, le=9)
    table: str | None = None

    def output(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of what it writes."""
        top, left, bottom, right = self.padding
        return (
            (height + top + bottom - self.kernel[0]) // self.stride[0] + 1,
            (width + left + right - self.kernel[1]) // self.stride[1] + 1,
        )

    def within(self, kernel: tuple[int, int]) -> tuple[int, int, int, int]:
        """Padding of the same layer when its filter stands in the middle of a larger one, zeros around it."""
        top, left, bottom, right = self.padding
        rows, columns = kernel[0] - self.kernel[0], kernel[1] - self.kernel[1]
        return (
            top + rows // 2,
            left + columns // 2,
            bottom + rows - rows // 2,
            right + columns - columns // 2,
        )


class SharedBlock(Description):
    """[expand] [depthwise] [scale] [project] [residual add of the block's input]: every part may be missing, not all.

    A block of the network with squeeze-excite is three of these in a row. The first one ends in a `pool` and writes
    means; the second computes the factors out of them; the third reads the first one's map again, computes the same
    anew, and scales it. That costs multiplications, but no memory for the largest map of the block, whose `expand` and
    `project` could not have worked at the same time anyway.

    Parameters
    ----------
    height, width, channels
        Of the map that the block reads, as the network has them.
    pool
        Global mean of what the depthwise layer gives; there is neither `project` nor `add` then.
    scale
        What the depthwise layer gives times one factor a channel, which the block before has written.
    add
        Name of the residual add's node.
    """

    height: int = Field(ge=1)
    width: int = Field(ge=1)
    channels: int = Field(ge=1)
    expand: SharedPointwise | None = None
    depthwise: SharedDepthwise | None = None
    pool: SharedLayer | None = None
    scale: SharedLayer | None = None
    project: SharedPointwise | None = None
    add: str | None = None

    @model_validator(mode="after")
    def _parts(self) -> SharedBlock:
        if not (self.expand or self.depthwise or self.project):
            raise ValueError("a shared block has no layer")
        if self.expand and self.expand.in_channels != self.channels:
            raise ValueError(f"'{self.expand.node}' reads {self.expand.in_channels} of {self.channels} channels")
        if self.project and self.project.in_channels != self.middle:
            raise ValueError(f"'{self.project.node}' reads {self.project.in_channels} of {self.middle} channels")
        if self.pool and (self.scale or self.project or self.add or not self.depthwise):
            raise ValueError(f"'{self.pool.node}' stands behind no depthwise layer, or is not the last of its block")
        if self.scale and not (self.depthwise and self.project):
            raise ValueError(f"'{self.scale.node}' does not stand between a depthwise layer and a pointwise one")
        if self.add and self.output != (self.height, self.width, self.channels):
            raise ValueError(f"'{self.add}' adds maps of {self.shape} and {self.output}")
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) read."""
        return self.height, self.width, self.channels

    @property
    def middle(self) -> int:
        """Channels between the two pointwise layers."""
        return self.expand.out_channels if self.expand else self.channels

    @property
    def output(self) -> tuple[int, int, int]:
        """(height, width, channels) written."""
        height, width = (1, 1) if self.pool else self.filtered
        return height, width, self.project.out_channels if self.project else self.middle

    @property
    def filtered(self) -> tuple[int, int]:
        """Height and width behind the depthwise layer."""
        return self.depthwise.output(self.height, self.width) if self.depthwise else (self.height, self.width)

    @property
    def convolutions(self) -> tuple[SharedPointwise | SharedDepthwise, ...]:
        """Those that are there, in order of the data flow."""
        return tuple(layer for layer in (self.expand, self.depthwise, self.project) if layer)

    @property
    def layers(self) -> tuple[SharedLayer, ...]:
        """Everything that requantizes but the residual add, in order of the data flow."""
        every = self.expand, self.depthwise, self.pool, self.scale, self.project
        return tuple(layer for layer in every if layer)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The network's nodes that the block computes, in order."""
        found = [name for layer in self.layers for name in (layer.node, getattr(layer, "table", None))]
        return tuple(name for name in (*found, self.add) if name)

    def repeats(self, part: str) -> bool:
        """Whether it computes a part as the block two before it does, whose constants serve both."""
        return bool(self.scale) and part in ("expand", "depthwise")

    @property
    def macs(self) -> int:
        """Multiply-accumulates a frame that the network asks for; what a squeeze-excite computes anew counts once."""
        height, width = self.filtered
        project = height * width * self.project.weights if self.project else 0
        if self.scale:
            return project + height * width * self.middle
        expand = self.height * self.width * self.expand.weights if self.expand else 0
        depthwise = height * width * self.middle * math.prod(self.depthwise.kernel) if self.depthwise else 0
        return expand + depthwise + project


class PointwiseFolding(Description):
    """`in_lanes * out_parallel` multipliers and `lanes` requantizers."""

    in_lanes: int = Field(ge=1)
    out_parallel: int = Field(ge=1)
    lanes: int = Field(ge=1)

    @property
    def multipliers(self) -> int:
        """Multiplications a clock cycle."""
        return self.in_lanes * self.out_parallel


class SharedFolding(Description):
    """Folding of a shared body; one without `expand` or `project` computes no such layer.

    Where two parts meet, one number of lanes divides the other. Channels are padded to multiples: those of the maps in
    memory by `outer`, those between the pointwise layers by `inner`.

    Parameters
    ----------
    middle_lanes
        Channels a cycle through window and depthwise layer.
    memory_lanes
        Codes in a word of the maps' memory.
    fabric
        Depthwise multipliers of LUTs.
    taps
        Depthwise multipliers a lane, where they are fewer than the window has taps.
    dsp_bits
        Of the wider operand of a DSP; where two weights fit, two output channels of a pointwise part share it.
    cascade
        DSPs are instances that sum their products; C++ has none.
    """

    expand: PointwiseFolding | None = None
    middle_lanes: int = Field(ge=1)
    project: PointwiseFolding | None = None
    memory_lanes: int = Field(ge=1)
    fabric: bool = False
    taps: int | None = Field(default=None, ge=1)
    dsp_bits: int = Field(default=27, ge=18, le=27)
    cascade: bool = False

    @model_validator(mode="after")
    def _neighbours(self) -> SharedFolding:
        pairs = [(self.memory_lanes, self.middle_lanes)]
        if self.expand:
            pairs += [(self.memory_lanes, self.expand.in_lanes), (self.expand.lanes, self.middle_lanes)]
        if self.project:
            pairs += [(self.middle_lanes, self.project.in_lanes), (self.project.lanes, self.memory_lanes)]
        for a, b in pairs[1 if self.expand and self.project else 0 :]:
            if a % b and b % a:
                raise ValueError(f"neither of {a} and {b} lanes of a shared body divides the other")
        return self

    @property
    def outer(self) -> int:
        """Channels of maps in memory are padded to a multiple of it."""
        parts = [self.memory_lanes]
        parts += [self.expand.in_lanes] if self.expand else []
        parts += [self.project.out_parallel] if self.project else []
        return math.lcm(*parts)

    @property
    def inner(self) -> int:
        """Channels between the pointwise layers are padded to a multiple of it."""
        parts = [self.middle_lanes]
        parts += [self.expand.out_parallel] if self.expand else []
        parts += [self.project.in_lanes] if self.project else []
        return math.lcm(*parts)


def padded(channels: int, multiple: int) -> int:
    """`channels` rounded up."""
    return -(-channels // multiple) * multiple
