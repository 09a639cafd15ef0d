"""MobileNetV1 (Howard et al. 2017, arXiv 1704.04861): depthwise and pointwise in turns, with ReLU6."""

from __future__ import annotations

from torch import Tensor, nn

from deepdive.models.channels import scale_channels
from deepdive.models.initialize import initialize
from deepdive.models.mobilenet_v2 import conv_norm_relu6

STEM_CHANNELS = 32
BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)
"""Output channels and depthwise stride of each block: the paper's table 1."""
FIRST_STRIDED = 2
"""Number of the first block with a stride, counted from 1."""


class MobileNetV1(nn.Module):
    """MobileNetV1, for inputs of any size.

    Parameters
    ----------
    width
        Multiplies all channels.
    num_classes
        Outputs of the classifier.
    small
        For images of about 32x32: the first two of the five strides, the stem's among them, are removed.
    """

    def __init__(self, width: float = 1.0, num_classes: int = 1000, small: bool = False) -> None:
        super().__init__()
        strides = [2, *(stride for _, stride in BLOCKS)]
        if small:
            strides[: FIRST_STRIDED + 1] = [1] * (FIRST_STRIDED + 1)
        channels = scale_channels(STEM_CHANNELS, width)
        layers: list[nn.Module] = [conv_norm_relu6(3, channels, 3, strides[0])]
        for (wanted, _), stride in zip(BLOCKS, strides[1:], strict=True):
            out_channels = scale_channels(wanted, width)
            layers += [
                conv_norm_relu6(channels, channels, 3, stride, groups=channels),
                conv_norm_relu6(channels, out_channels, 1),
            ]
            channels = out_channels
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, num_classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) float images to (N, num_classes) logits."""
        return self.classifier(self.pool(self.features(x)).flatten(1))
