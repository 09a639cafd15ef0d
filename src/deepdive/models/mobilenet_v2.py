"""MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381), with torchvision's parameter names."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor, nn

from deepdive.models.channels import scale_channels
from deepdive.models.initialize import initialize

STEM_CHANNELS = 32
LAST_CHANNELS = 1280


@dataclass(frozen=True)
class BlockGroup:
    """A row of the paper's table 2: `repeats` inverted residuals, the first of which has the stride."""

    expansion: int
    channels: int
    repeats: int
    stride: int


BLOCK_GROUPS = (
    BlockGroup(expansion=1, channels=16, repeats=1, stride=1),
    BlockGroup(expansion=6, channels=24, repeats=2, stride=2),
    BlockGroup(expansion=6, channels=32, repeats=3, stride=2),
    BlockGroup(expansion=6, channels=64, repeats=4, stride=2),
    BlockGroup(expansion=6, channels=96, repeats=3, stride=1),
    BlockGroup(expansion=6, channels=160, repeats=3, stride=2),
    BlockGroup(expansion=6, channels=320, repeats=1, stride=1),
)
SMALL_BLOCK_GROUPS = (BLOCK_GROUPS[0], replace(BLOCK_GROUPS[1], stride=1), *BLOCK_GROUPS[2:])


def conv_norm_relu6(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """A convolution that keeps the size up to its stride, batch norm, ReLU6."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """Pointwise expansion (unless it is 1), depthwise 3x3, linear pointwise projection, residual where shapes agree."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [conv_norm_relu6(in_channels, hidden, 1)]
        layers += [
            conv_norm_relu6(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        ]
        self.conv = nn.Sequential(*layers)
        self.has_residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride)), float."""
        return x + self.conv(x) if self.has_residual else self.conv(x)


class MobileNetV2(nn.Module):
    """MobileNetV2 for any input of at least one pixel; its deepest feature map is a 32nd of the input.

    Parameters
    ----------
    width
        Multiplies every channel count but the last layer's, which only grows: 1280 * max(1, width).
    num_classes
        Outputs of the classifier.
    dropout
        Probability before the classifier, while training.
    small
        For images of about 32x32: the first two of the five strides, the stem's among them, are removed.
    """

    def __init__(self, width: float = 1.0, num_classes: int = 1000, dropout: float = 0.2, small: bool = False) -> None:
        super().__init__()
        channels = scale_channels(STEM_CHANNELS, width)
        last = scale_channels(LAST_CHANNELS, max(1.0, width))
        features: list[nn.Module] = [conv_norm_relu6(3, channels, 3, stride=1 if small else 2)]
        for group in SMALL_BLOCK_GROUPS if small else BLOCK_GROUPS:
            out_channels = scale_channels(group.channels, width)
            for index in range(group.repeats):
                stride = group.stride if index == 0 else 1
                features.append(InvertedResidual(channels, out_channels, stride, group.expansion))
                channels = out_channels
        features.append(conv_norm_relu6(channels, last, 1))
        self.features = nn.Sequential(*features)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last, num_classes))
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) float images to (N, num_classes) logits."""
        return self.classifier(self.flatten(self.pool(self.features(x))))
