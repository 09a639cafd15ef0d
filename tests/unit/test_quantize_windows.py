"""Pooling, concatenation and zero padding in PyTorch networks: all codes equal the integer network's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from deepdive.errors import DeepDiveError
from deepdive.qnet.ops import AvgPool, Concat, GlobalAvgPool, MaxPool, Pad
from deepdive.quantization import Bits, Calibration, QConfig, QuantizedModel, calibrate, lower, prepare, quantize
from quantized_networks import random_images

MEAN, STD = (123.7, 116.25, 103.5), (58.4, 57.1, 57.4)
NEVER = float("-inf")
WINDOWS: dict[str, Callable[[Tensor], Tensor]] = {
    "max": nn.MaxPool2d(2),
    "max padded": nn.MaxPool2d(3, 2, 1),
    "max ceil": nn.MaxPool2d(3, 2, ceil_mode=True),
    "max oblong": nn.MaxPool2d((2, 3), (1, 2), (0, 1)),
    "max same": lambda x: F.max_pool2d(F.pad(x, (0, 1, 1, 0), value=NEVER), 3, 2),
    "max zeros": lambda x: F.max_pool2d(F.pad(x, (0, 1, 0, 1)), 2, 2),
    "max global": nn.AdaptiveMaxPool2d(1),
    "mean": nn.AvgPool2d(2),
    "mean padded": nn.AvgPool2d(3, 2, 1),
    "mean inside": nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "mean ceil": nn.AvgPool2d(3, 2, ceil_mode=True, count_include_pad=False),
    "mean same": lambda x: F.avg_pool2d(F.pad(x, (0, 1, 1, 0)), 3, 2),
    "mean wide": lambda x: F.avg_pool2d(F.pad(x, (3, 2, 3, 2)), 3, 2),
    "mean oblong": nn.AvgPool2d((3, 2), (2, 1)),
    "zeros": lambda x: F.relu(F.pad(x, (1, 2, 0, 1)) - 0.5),
    "joined": lambda x: torch.cat([x, x * 2, F.relu(x)], 1),
    "joined pools": lambda x: torch.cat([F.max_pool2d(x, 2), F.avg_pool2d(x, 2)], 1),
    "fire": lambda x: F.max_pool2d(torch.cat([F.relu6(x), torch.sigmoid(x)], 1), 3, 2, ceil_mode=True),
}


class Windowed(nn.Module):
    """A stem, what a test wants, a convolution where a map is left, a mean and a classifier."""

    def __init__(self, body: Callable[[Tensor], Tensor], size: tuple[int, int], activation: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), activation)
        self.body = body
        with torch.no_grad():
            channels = body(self.stem(torch.zeros(2, 3, *size))).shape[1]
        self.conv, self.pool = nn.Conv2d(channels, 4, 1), nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.pool(F.relu(self.conv(self.body(self.stem(x))))).flatten(1))


def calibrated(model: nn.Module, images: np.ndarray, qconfig: QConfig) -> QuantizedModel:
    quantized = prepare(model.eval(), qconfig, size=(images.shape[1], images.shape[2]), mean=MEAN, std=STD)
    calibrate(quantized, torch.from_numpy(images), Calibration())
    return quantized


@pytest.mark.parametrize("kind", WINDOWS)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    size=st.tuples(st.integers(6, 9), st.integers(6, 9)),
    bits=st.tuples(st.integers(2, 8), st.integers(2, 8)),
    activation=st.sampled_from([nn.ReLU(), nn.Hardswish(), nn.Identity()]),
)
def test_every_code_equals_the_integer_network(
    kind: str, size: tuple[int, int], bits: tuple[int, int], activation: nn.Module
) -> None:
    """`prepare` holds the plan's values against the module's, `lower` the codes against the reference."""
    quantized = calibrated(Windowed(WINDOWS[kind], size, activation), random_images(3, size), QConfig(*bits))
    fresh = random_images(3, size, seed=1)
    net = lower(quantized, torch.from_numpy(fresh))
    output = quantized(torch.from_numpy(fresh)).detach().numpy()
    codes = net.run(fresh)
    assert isinstance(codes, np.ndarray)
    assert np.array_equal(output, net.output.dequantize(codes)[:, 0, 0].astype(np.float32))


@pytest.mark.parametrize("kind", WINDOWS)
def test_eight_bits_stay_close_to_float(kind: str) -> None:
    model = Windowed(WINDOWS[kind], (9, 8), nn.ReLU()).eval()
    images = random_images(8, (9, 8))
    net = quantize(model, images, mean=MEAN, std=STD)
    x = (torch.from_numpy(images).permute(0, 3, 1, 2) - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[
        :, None, None
    ]
    with torch.no_grad():
        wanted = model(x).numpy()
    codes = net.run(images)
    assert isinstance(codes, np.ndarray)
    error = np.abs(net.output.dequantize(codes)[:, 0, 0] - wanted)
    assert error.mean() < 0.02 * np.ptp(wanted)


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("max same", [MaxPool]),
        ("max zeros", [Pad, MaxPool]),
        ("mean same", [AvgPool]),
        ("mean wide", [Pad, AvgPool]),
        ("mean inside", [AvgPool]),
        ("joined pools", [MaxPool, AvgPool, Concat]),
    ],
)
def test_operators(kind: str, wanted: list[type]) -> None:
    net = quantize(Windowed(WINDOWS[kind], (8, 8), nn.ReLU()).eval(), random_images(2, (8, 8)), mean=MEAN, std=STD)
    kinds = [type(node) for node in net.nodes]
    assert kinds[1 : 1 + len(wanted)] == wanted
    assert kinds[2 + len(wanted)] is GlobalAvgPool


def test_what_is_joined_has_one_quantizer_of_the_most_bits() -> None:
    qconfig = QConfig(8, 4, overrides={"stem.0": Bits(8, 6)})
    quantized = calibrated(Windowed(WINDOWS["joined pools"], (8, 8), nn.ReLU()), random_images(2, (8, 8)), qconfig)
    outputs = {layer.name: layer.output for layer in quantized}
    assert {outputs[name] for name in ("stem.0", "max_pool", "pool", "concat")} == {outputs["concat"]}
    assert outputs["concat"].bits == 6
    assert outputs["conv"].bits == 4


def test_numbers_that_are_none_are_named() -> None:
    model = Windowed(lambda x: 1 / x, (6, 6), nn.Identity()).eval()
    with pytest.raises(DeepDiveError, match="'truediv' gives NaN or infinity on the images; check the weights"):
        quantize(model, np.zeros((2, 6, 6, 3), np.uint8))
