"""Small networks as others write them: torch modules exported to ONNX, and quantized by ONNX Runtime."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 16


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        factors = torch.relu(self.squeeze(F.adaptive_avg_pool2d(x, 1)))
        return x * torch.sigmoid(self.excite(factors))


class Separable(nn.Module):
    """One of everything a depthwise-separable network has."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        depthwise = nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False)
        self.depthwise = nn.Sequential(depthwise, nn.BatchNorm2d(8), activation)
        self.squeeze_excite = SqueezeExcite(8)
        self.pointwise = nn.Sequential(nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8))
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.pointwise(self.squeeze_excite(self.depthwise(x)))
        x = torch.cat([F.max_pool2d(x, 2), F.avg_pool2d(x, 3, 2, 1)], 1)
        return self.fc(x.mean((2, 3)))


class Flattened(nn.Module):
    """A padded convolution, a pool to 2x2, and a linear layer on the flattened map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.second = nn.Conv2d(3, 6, 3, 2), nn.Conv2d(6, 6, 1)
        self.fc, self.last = nn.Linear(6 * 4, 12), nn.Linear(12, 5)
        self.without_softmax = False

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv(F.pad(x, (0, 1, 0, 1))))
        x = F.max_pool2d(F.leaky_relu(self.second(x)), 4)
        x = self.last(torch.relu(self.fc(x.reshape(x.shape[0], -1))))
        return x if self.without_softmax else torch.softmax(x, 1)


class Inputs(CalibrationDataReader):
    """Images one by one under the input's name."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        image = next(self.images, None)
        return None if image is None else {"x": image[None]}


@dataclass(frozen=True)
class Kind:
    """How ONNX Runtime quantizes."""

    per_channel: bool = True
    activations: QuantType = QuantType.QUInt8
    weights: QuantType = QuantType.QInt8


KINDS = {
    "per channel": Kind(),
    "per tensor": Kind(per_channel=False),
    "signed activations": Kind(activations=QuantType.QInt8),
    "unsigned weights": Kind(weights=QuantType.QUInt8),
}


def spread_statistics(module: nn.Module, side: int = SIDE) -> None:
    """Give batch norms the statistics of noise, so that every layer's numbers are of a sensible size."""
    module.train()
    with torch.no_grad():
        for _ in range(30):
            module(torch.randn(8, 3, side, side))
    module.eval()


def export_float(
    module: nn.Module, path: Path, shape: tuple[int, int, int] = (3, SIDE, SIDE), **options: object
) -> None:
    """A float ONNX file with a free batch; input `x`, output `y`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (torch.randn(1, *shape),),
            str(path),
            dynamo=False,
            input_names=["x"],
            output_names=["y"],
            dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
            opset_version=options.get("opset", 13),
            training=options.get("training", torch.onnx.TrainingMode.EVAL),
        )


def quantize_qdq(source: Path, target: Path, images: np.ndarray, kind: Kind) -> None:
    """What `quantize_static` makes of a float file."""
    quantize_static(
        str(source),
        str(target),
        Inputs(images),
        quant_format=QuantFormat.QDQ,
        per_channel=kind.per_channel,
        activation_type=kind.activations,
        weight_type=kind.weights,
    )


def noise(count: int, shape: tuple[int, int, int] = (3, SIDE, SIDE)) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, *shape)).astype(np.float32)
