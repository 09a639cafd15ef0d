"""EfficientNet-Compact: a small EfficientNet shaped for edge FPGAs.

The DeepDive paper evaluates "a compact version of EfficientNet" without publishing its shape; this one is ours. What an
FPGA pays for decides it:

- every depthwise kernel is 3x3: a 5x5 window costs twice the line buffers and 2.8 times the multipliers;
- ReLU6 instead of swish and no squeeze-excite, as in EfficientNet-Lite: activations become two bounds;
- expansion 1, 2, 3, 4 from stage to stage instead of 6: feature maps are large where channels are few, and the expanded
  map is what an inverted residual buffers and what its depthwise stage must keep up with;
- no stage is wider than 128 channels and the head has 448 instead of 1280: weights fit on the chip of a small board;
- stages of 1, 2, 3, 2 blocks, all channel counts multiples of 8, so that foldings of 8 lanes divide them.

At width 1: 0.80 million parameters and 56 million multiply-accumulates at 224x224; 0.36 and 14.9 million for the
variant for 32x32 and ten classes, in which the strides of the stem and of the second stage are removed.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from deepdive.models.channels import scale_channels
from deepdive.models.initialize import initialize
from deepdive.models.mobilenet_v2 import conv_norm_relu6

STEM_CHANNELS = 16
HEAD_CHANNELS = 448


@dataclass(frozen=True)
class Stage:
    """`repeats` inverted residuals, of which the first has the stride: `stride`, or `small_stride` for 32x32 images."""

    expansion: int
    channels: int
    repeats: int
    stride: int
    small_stride: int


STAGES = (
    Stage(expansion=1, channels=32, repeats=1, stride=2, small_stride=2),
    Stage(expansion=2, channels=40, repeats=2, stride=2, small_stride=1),
    Stage(expansion=3, channels=72, repeats=3, stride=2, small_stride=2),
    Stage(expansion=4, channels=128, repeats=2, stride=2, small_stride=2),
)


class InvertedResidual(nn.Module):
    """Pointwise expansion (unless it is 1), depthwise 3x3, linear pointwise projection, residual where shapes agree."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.expand = conv_norm_relu6(in_channels, hidden, 1) if expansion > 1 else nn.Identity()
        self.depthwise = conv_norm_relu6(hidden, hidden, 3, stride, groups=hidden)
        self.project = nn.Sequential(nn.Conv2d(hidden, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels))
        self.has_residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H / stride, W / stride), float."""
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.has_residual else y


class EfficientNetCompact(nn.Module):
    """EfficientNet-Compact, for inputs of any size.

    Parameters
    ----------
    width
        Multiplies all channels but those of the head.
    num_classes
        Outputs of the classifier.
    small
        For images of about 32x32: two strides are removed.
    dropout
        Probability before the classifier, while training.
    """

    def __init__(self, width: float = 1.0, num_classes: int = 1000, small: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        channels = scale_channels(STEM_CHANNELS, width)
        self.stem = conv_norm_relu6(3, channels, 3, stride=1 if small else 2)
        blocks: list[nn.Module] = []
        for stage in STAGES:
            out_channels = scale_channels(stage.channels, width)
            for index in range(stage.repeats):
                stride = (stage.small_stride if small else stage.stride) if index == 0 else 1
                blocks.append(InvertedResidual(channels, out_channels, stride, stage.expansion))
                channels = out_channels
        self.blocks = nn.Sequential(*blocks)
        self.head = conv_norm_relu6(channels, HEAD_CHANNELS, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(HEAD_CHANNELS, num_classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) float images to (N, num_classes) logits."""
        x = self.pool(self.head(self.blocks(self.stem(x))))
        return self.classifier(self.dropout(x.flatten(1)))
