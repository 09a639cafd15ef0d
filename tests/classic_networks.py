"""The mobile networks as they are usually written in PyTorch, small: MobileNetV1 and V3, MNASNet, EfficientNet.

Written after the papers, with the modules that the model collections use: ConvNormActivation in a Sequential,
squeeze-excite of `avgpool`, `fc1`, `fc2` and two activations, a classifier with dropout.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Activation = type[nn.Module]


class ConvNormActivation(nn.Sequential):
    """Convolution, batch norm and, when there is one, an activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        act: Activation | None = None,
    ) -> None:
        layers = [
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        super().__init__(*layers, *([act(inplace=True)] if act else []))


class SqueezeExcitation(nn.Module):
    def __init__(self, channels: int, squeezed: int, act: Activation, scale: Activation) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.activation = act()
        self.scale_activation = scale()

    def forward(self, x: Tensor) -> Tensor:
        scale = self.activation(self.fc1(self.avgpool(x)))
        return self.scale_activation(self.fc2(scale)) * x


class InvertedResidual(nn.Module):
    """Expand, depthwise, squeeze-excite, project; `squeeze` makes the third part, if there is one."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        stride: int = 1,
        expand: int = 3,
        act: Activation = nn.ReLU,
        squeeze: Callable[[int, int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        hidden = inputs * expand
        layers: list[nn.Module] = [ConvNormActivation(inputs, hidden, act=act)] if expand > 1 else []
        layers.append(ConvNormActivation(hidden, hidden, kernel, stride, hidden, act))
        layers += [squeeze(hidden, inputs)] if squeeze else []
        layers.append(ConvNormActivation(hidden, outputs))
        self.block = nn.Sequential(*layers)
        self.use_res_connect = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x) if self.use_res_connect else self.block(x)


class Classic(nn.Module):
    """`features`, average pool, `classifier`."""

    def __init__(self, features: list[nn.Module], classifier: list[nn.Module]) -> None:
        super().__init__()
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(*classifier)

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))
        return self.classifier(torch.flatten(x, 1))


def mobilenet_v1() -> nn.Module:
    """Depthwise and pointwise in turn."""
    features: list[nn.Module] = [ConvNormActivation(3, 8, 3, 2, act=nn.ReLU)]
    for inputs, outputs, stride in ((8, 16, 1), (16, 24, 2), (24, 24, 1)):
        features += [
            ConvNormActivation(inputs, inputs, 3, stride, inputs, nn.ReLU),
            ConvNormActivation(inputs, outputs, act=nn.ReLU),
        ]
    return Classic(features, [nn.Linear(24, 10)])


def mobilenet_v3() -> nn.Module:
    """Hard-swish, squeeze-excite with a hard sigmoid, two layers at the end."""

    def squeeze(channels: int, _inputs: int) -> nn.Module:
        return SqueezeExcitation(channels, channels // 4, nn.ReLU, nn.Hardsigmoid)

    features = [
        ConvNormActivation(3, 8, 3, 2, act=nn.Hardswish),
        InvertedResidual(8, 8, 3, 2, 1, squeeze=squeeze),
        InvertedResidual(8, 12, 3, 2),
        InvertedResidual(12, 12, 5, 1, act=nn.Hardswish, squeeze=squeeze),
        ConvNormActivation(12, 48, act=nn.Hardswish),
    ]
    return Classic(features, [nn.Linear(48, 32), nn.Hardswish(inplace=True), nn.Dropout(0.2), nn.Linear(32, 10)])


def mnasnet() -> nn.Module:
    """A separable stem, 5x5 filters and an expansion by three."""
    features = [
        ConvNormActivation(3, 8, 3, 2, act=nn.ReLU),
        ConvNormActivation(8, 8, 3, 1, 8, nn.ReLU),
        ConvNormActivation(8, 4),
        InvertedResidual(4, 6, 3, 2),
        InvertedResidual(6, 6, 3),
        InvertedResidual(6, 10, 5, 2),
        InvertedResidual(10, 10, 5, expand=6),
        ConvNormActivation(10, 32, act=nn.ReLU),
    ]
    return Classic(features, [nn.Dropout(0.2), nn.Linear(32, 10)])


def efficientnet() -> nn.Module:
    """SiLU everywhere, squeeze-excite with a sigmoid in every block."""

    def squeeze(channels: int, inputs: int) -> nn.Module:
        return SqueezeExcitation(channels, max(1, inputs // 4), nn.SiLU, nn.Sigmoid)

    features = [
        ConvNormActivation(3, 8, 3, 2, act=nn.SiLU),
        InvertedResidual(8, 4, 3, 1, 1, nn.SiLU, squeeze),
        InvertedResidual(4, 6, 3, 2, 6, nn.SiLU, squeeze),
        InvertedResidual(6, 6, 3, 1, 6, nn.SiLU, squeeze),
        InvertedResidual(6, 10, 5, 2, 6, nn.SiLU, squeeze),
        ConvNormActivation(10, 32, act=nn.SiLU),
    ]
    return Classic(features, [nn.Dropout(0.2), nn.Linear(32, 10)])
