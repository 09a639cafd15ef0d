"""A float network as a short list of layers, each one operator of the integer contract to be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

Shape = tuple[int, int, int]  # (channels, height, width), torch's order

INPUT = "input"
"""Name of the network input in every plan."""


@dataclass(frozen=True)
class Clip:
    """An activation that the requantization does for nothing: ``min(max(x, low), high)``, real values."""

    low: float
    high: float

    def __call__(self, x: Tensor) -> Tensor:
        return torch.clamp(x, self.low, self.high)


@dataclass
class Layer:
    """What every layer has: its dotted name, the names it reads, the (C, H, W) it writes."""

    name: str
    inputs: list[str]
    shape: Shape


@dataclass
class ConvLayer(Layer):
    """Convolution (or linear layer as one), then batch norm, then a clip; weight (O, I / groups, kh, kw)."""

    weight: Tensor
    bias: Tensor | None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right
    groups: int = 1
    is_linear: bool = False
    norm: nn.BatchNorm2d | None = None
    clip: Clip | None = None


@dataclass
class AddLayer(Layer):
    """Sum of two maps of one shape, then a clip."""

    clip: Clip | None = None


@dataclass
class PoolLayer(Layer):
    """Mean over height and width, then a clip."""

    clip: Clip | None = None


@dataclass
class MaxPoolLayer(Layer):
    """Largest value of each window; `padding` is (top, left, bottom, right) and never wins."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass
class AvgPoolLayer(Layer):
    """Mean of each window, then a clip; padding counts as zeros, or (not `counts_padding`) not at all."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    counts_padding: bool = True
    clip: Clip | None = None


@dataclass
class ConcatLayer(Layer):
    """Channels of two maps side by side."""


@dataclass
class PadLayer(Layer):
    """A map within a frame of zeros, where no convolution can hold it; `padding` is (top, left, bottom, right)."""

    padding: tuple[int, int, int, int]


@dataclass
class ScaleLayer(Layer):
    """Map (C, H, W) times factors (C, 1, 1), then a clip."""

    clip: Clip | None = None


@dataclass
class TableLayer(Layer):
    """Any function of one value, element by element."""

    function: Callable[[Tensor], Tensor] = field(repr=False, default=lambda x: x)


@dataclass(frozen=True)
class Plan:
    """The layers in order of execution; the last one's output is the network's."""

    input_shape: Shape
    layers: tuple[Layer, ...]
