"""Networks written with Brevitas and exported by it to QONNX."""

from __future__ import annotations

import warnings
from pathlib import Path

import brevitas.nn as qnn
import torch
from brevitas.export import export_qonnx
from brevitas.quant import Int8ActPerTensorFixedPoint, Int8WeightPerTensorFixedPoint, Int32Bias
from torch import Tensor, nn

from foreign_networks import spread_statistics


class Separable(nn.Module):
    """Stem, depthwise, pointwise, residual add, pool and classifier, with few bits in the middle.

    Parameters
    ----------
    bits
        Of weights and activations between stem and classifier.
    """

    def __init__(self, bits: int, *, bias: bool = False) -> None:
        super().__init__()
        exact = {"bias_quant": Int32Bias, "return_quant_tensor": True} if bias else {}
        self.image = qnn.QuantIdentity(bit_width=8, return_quant_tensor=True)
        self.stem = qnn.QuantConv2d(3, 8, 3, 2, 1, bias=False, weight_scaling_per_output_channel=True)
        self.norm = nn.BatchNorm2d(8) if not bias else nn.Identity()
        self.act = qnn.QuantReLU(bit_width=bits, return_quant_tensor=True)
        self.depthwise = qnn.QuantConv2d(8, 8, 3, 1, 1, groups=8, weight_bit_width=bits, **exact)
        self.act2 = qnn.QuantReLU(bit_width=bits, return_quant_tensor=True)
        self.pointwise = qnn.QuantConv2d(8, 8, 1, weight_bit_width=bits, **exact)
        self.shared = qnn.QuantIdentity(bit_width=max(bits, 4), return_quant_tensor=True)
        self.sum = qnn.QuantIdentity(bit_width=8, return_quant_tensor=True)
        self.pool = nn.MaxPool2d(2)
        self.fc = qnn.QuantLinear(8 * 16, 10, bias=True, weight_bit_width=bits, bias_quant=Int32Bias if bias else None)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.stem(self.image(x))))
        y = self.pointwise(self.act2(self.depthwise(x)))
        x = self.sum(self.shared(x) + self.shared(y))
        return self.fc(self.pool(x).flatten(1))


class Truncated(nn.Module):
    """Average pools that drop the lowest bits, and power-of-two scales."""

    def __init__(self) -> None:
        super().__init__()
        point = {"weight_quant": Int8WeightPerTensorFixedPoint}
        self.image = qnn.QuantIdentity(act_quant=Int8ActPerTensorFixedPoint, return_quant_tensor=True)
        self.conv = qnn.QuantConv2d(3, 8, 3, 2, 1, bias=False, **point)
        self.act = qnn.QuantReLU(bit_width=4, return_quant_tensor=True)
        self.pool = qnn.TruncAvgPool2d(2, bit_width=4)
        self.fc = qnn.QuantLinear(8 * 16, 10, bias=False, **point)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.pool(self.act(self.conv(self.image(x)))).flatten(1))


class Bipolar(nn.Module):
    """Weights of plus and minus one."""

    def __init__(self) -> None:
        super().__init__()
        from brevitas.quant import SignedBinaryWeightPerTensorConst

        self.image = qnn.QuantIdentity(bit_width=8, return_quant_tensor=True)
        self.conv = qnn.QuantConv2d(3, 8, 3, 2, 1, bias=False, weight_quant=SignedBinaryWeightPerTensorConst)
        self.norm = nn.BatchNorm2d(8)
        self.act = qnn.QuantReLU(bit_width=2, return_quant_tensor=True)
        self.fc = qnn.QuantLinear(8 * 64, 10, bias=False, weight_bit_width=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.act(self.norm(self.conv(self.image(x)))).flatten(1))


def export(module: nn.Module, path: Path, *, dynamo: bool = False) -> Path:
    """The QONNX file of a network whose ranges were learned on noise; `dynamo` takes PyTorch's newer exporter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spread_statistics(module)
        export_qonnx(module, torch.randn(1, 3, 16, 16), str(path), dynamo=dynamo)
    return path
