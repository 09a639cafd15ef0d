"""Float networks for tests of quantization: random MobileNet-like ones, with batch norm that has seen data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

torch.set_num_threads(1)  # maps of a hundred pixels gain nothing from a second one

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hardswish": nn.Hardswish,
    "silu": nn.SiLU,
    "none": nn.Identity,
}


@dataclass(frozen=True)
class Shape:
    """What hypothesis draws: see `float_networks`."""

    channels: int
    expansion: int
    kernel: int
    stride: int
    residual: bool
    squeeze: bool
    activation: str
    size: tuple[int, int]
    seed: int


class Squeeze(nn.Module):
    """Squeeze-excite."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        s = torch.relu(self.down(x.mean((2, 3), keepdim=True)))
        return x * nn.functional.hardsigmoid(self.up(s))


class InvertedResidual(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        channels, hidden = shape.channels, shape.channels * shape.expansion
        act = ACTIVATIONS[shape.activation]
        stride = 1 if shape.residual else shape.stride
        self.body = nn.Sequential(
            nn.Sequential(nn.Conv2d(channels, hidden, 1, bias=False), nn.BatchNorm2d(hidden), act()),
            nn.Conv2d(hidden, hidden, shape.kernel, stride, shape.kernel // 2, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            act(),
            Squeeze(hidden) if shape.squeeze else nn.Identity(),
            nn.Conv2d(hidden, channels, 1),
            nn.BatchNorm2d(channels),
        )
        self.residual = shape.residual

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.residual else self.body(x)


def mobilenet_like(shape: Shape, classes: int = 5) -> nn.Module:
    """Padded stem, one inverted residual, tail, pool, classifier; evaluation mode."""
    torch.manual_seed(shape.seed)
    act = ACTIVATIONS[shape.activation]
    model = nn.Sequential(
        nn.ZeroPad2d((0, 1, 0, 1)),
        nn.Conv2d(3, shape.channels, 3, stride=2, bias=False),
        nn.BatchNorm2d(shape.channels),
        nn.ReLU6(),
        InvertedResidual(shape),
        nn.Conv2d(shape.channels, 16, 1, groups=2),
        act(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(16, classes),
    )
    warm_up(model, shape.size)
    return model.eval()


@torch.no_grad()
def warm_up(model: nn.Module, size: tuple[int, int]) -> None:
    """Give batch norm statistics, gains and shifts that are not the initial ones."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(std=0.3)
    model.train()
    for _ in range(3):
        model(torch.randn(4, 3, *size) * 1.5)


def float_networks() -> st.SearchStrategy[Shape]:
    """Small shapes with every option."""
    return st.builds(
        Shape,
        channels=st.sampled_from([4, 6]),
        expansion=st.integers(1, 3),
        kernel=st.sampled_from([1, 3, 5]),
        stride=st.integers(1, 2),
        residual=st.booleans(),
        squeeze=st.booleans(),
        activation=st.sampled_from(sorted(ACTIVATIONS)),
        size=st.tuples(st.integers(6, 11), st.integers(6, 11)),
        seed=st.integers(0, 1 << 16),
    )


def random_images(count: int, size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Raw pixels, uint8 (count, height, width, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3), dtype=np.uint8)
