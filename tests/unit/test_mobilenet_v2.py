"""MobileNetV2: torchvision's names, the published size, and any width and resolution."""

from __future__ import annotations

import math

import pytest
import torch
from torch import fx, nn

from deepdive.models.channels import scale_channels
from deepdive.models.mobilenet_v2 import MobileNetV2

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def torchvision_names() -> set[str]:
    """The state_dict keys of torchvision's mobilenet_v2, written down from its documented structure."""
    names = {"features.0.0.weight", "features.18.0.weight", "classifier.1.weight", "classifier.1.bias"}
    names |= {f"features.{layer}.1.{norm}" for layer in (0, 18) for norm in NORM}
    # The first block has no expansion: depthwise with its norm, projection, norm.
    names |= {"features.1.conv.0.0.weight", "features.1.conv.1.weight"}
    names |= {f"features.1.conv.{layer}.{norm}" for layer in ("0.1", "2") for norm in NORM}
    for block in range(2, 18):
        names |= {f"features.{block}.conv.{layer}.weight" for layer in ("0.0", "1.0", "2")}
        names |= {f"features.{block}.conv.{layer}.{norm}" for layer in ("0.1", "1.1", "3") for norm in NORM}
    return names


def test_names_are_torchvisions() -> None:
    assert set(MobileNetV2().state_dict()) == torchvision_names()


def test_shapes_are_torchvisions() -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in MobileNetV2().state_dict().items()}
    assert shapes["features.0.0.weight"] == (32, 3, 3, 3)
    assert shapes["features.1.conv.0.0.weight"] == (32, 1, 3, 3)
    assert shapes["features.1.conv.1.weight"] == (16, 32, 1, 1)
    assert shapes["features.2.conv.0.0.weight"] == (96, 16, 1, 1)
    assert shapes["features.8.conv.1.0.weight"] == (384, 1, 3, 3)
    assert shapes["features.17.conv.2.weight"] == (320, 960, 1, 1)
    assert shapes["features.18.0.weight"] == (1280, 320, 1, 1)
    assert shapes["classifier.1.weight"] == (1000, 1280)


def parameters(network: nn.Module) -> int:
    return sum(one.numel() for one in network.parameters())


def test_parameter_count_is_torchvisions() -> None:
    assert parameters(MobileNetV2()) == 3_504_872


# timm's table of results: mobilenetv2_050 and mobilenetv2_140, which round and scale the same way.
@pytest.mark.parametrize(("width", "millions"), [(0.5, 1.97), (1.4, 6.11)])
def test_parameter_count_at_other_widths_is_timms(width: float, millions: float) -> None:
    assert round(parameters(MobileNetV2(width)) / 1e6, 2) == millions


@pytest.mark.parametrize(("width", "resolution", "classes"), [(0.35, 96, 10), (0.5, 160, 1000), (1.0, 33, 2)])
def test_output_and_deepest_map(width: float, resolution: int, classes: int) -> None:
    network = MobileNetV2(width, classes).eval()
    x = torch.rand(2, 3, resolution, resolution)
    with torch.no_grad():
        deepest = network.features(x)
        logits = network(x)
    assert deepest.shape == (2, 1280, math.ceil(resolution / 32), math.ceil(resolution / 32))
    assert logits.shape == (2, classes)
    assert torch.isfinite(logits).all()


def test_traces_into_plain_layers_with_ten_residuals() -> None:
    traced = fx.symbolic_trace(MobileNetV2(0.35, 10).eval())
    assert {node.op for node in traced.graph.nodes} == {"placeholder", "call_module", "call_function", "output"}
    assert sum(node.op == "call_function" for node in traced.graph.nodes) == 10
    layers = {type(traced.get_submodule(node.target)) for node in traced.graph.nodes if node.op == "call_module"}
    assert layers == {nn.Conv2d, nn.BatchNorm2d, nn.ReLU6, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Dropout, nn.Linear}


@pytest.mark.parametrize(
    ("channels", "width", "scaled"),
    [(32, 1.0, 32), (16, 0.35, 8), (24, 0.35, 8), (32, 0.35, 16), (24, 0.5, 16), (96, 1.4, 136), (24, 0.75, 24)],
)
def test_channels_round_to_eights_and_never_lose_a_tenth(channels: int, width: float, scaled: int) -> None:
    assert scale_channels(channels, width) == scaled
