"""MobileNetV1, EfficientNet-Compact, and the variants of all networks for 32x32 images."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, fx, nn

from deepdive import models

SMALL = tuple(name for name in models.names() if name.endswith("_32"))


def count_macs(network: nn.Module, resolution: int) -> int:
    """Multiply-accumulates of all convolutions and linear layers for one image."""
    total = 0

    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        weight = module.weight
        assert isinstance(weight, Tensor)
        total += output[0].numel() * weight[0].numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(hook)
    with torch.no_grad():
        network(torch.zeros(1, 3, resolution, resolution))
    return total


def deepest_map(network: nn.Module, resolution: int) -> tuple[int, int]:
    """Height and width of what the global pool reads."""
    sizes = []
    for module in network.modules():
        if isinstance(module, nn.AdaptiveAvgPool2d):
            module.register_forward_hook(lambda _, inputs, output: sizes.append(tuple(inputs[0].shape[2:])))
    with torch.no_grad():
        network(torch.zeros(1, 3, resolution, resolution))
    (size,) = sizes
    return size


def test_every_network_has_a_small_variant() -> None:
    large = [name for name in models.names() if not name.endswith("_32")]
    assert sorted(SMALL) == sorted(f"{name}_32" for name in large)


@pytest.mark.parametrize("name", SMALL)
def test_small_variant(name: str) -> None:
    spec, network = models.find(name), models.build(name)
    assert (spec.resolution, spec.resize_short, spec.num_classes) == (32, 32, 10)
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    # Two of five strides are gone: an eighth of the input is left, where the original would have one pixel.
    assert deepest_map(network, 32) == (4, 4)


@pytest.mark.parametrize("name", SMALL)
def test_small_variant_has_the_tensors_of_the_original(name: str) -> None:
    original = models.build(name.removesuffix("_32"), num_classes=10).state_dict()
    small = models.build(name).state_dict()
    assert {key: tensor.shape for key, tensor in small.items()} == {key: t.shape for key, t in original.items()}


@pytest.mark.parametrize("name", ["mobilenet_v1", "efficientnet_compact", "efficientnet_compact_32"])
def test_fx_traces_it(name: str) -> None:
    network, images = models.build(name), torch.randn(2, 3, 64, 64)
    traced = fx.symbolic_trace(network)
    assert torch.equal(traced(images), network(images))


@pytest.mark.parametrize(
    ("name", "resolution", "macs", "parameters"),
    [
        # Howard 2017, table 8: 569 million multiply-adds and 4.2 million parameters.
        ("mobilenet_v1", 224, 568_740_352, 4_231_976),
        ("efficientnet_compact", 224, 56_466_368, 804_336),
        ("efficientnet_compact_32", 32, 14_892_416, 359_826),
    ],
)
def test_size(name: str, resolution: int, macs: int, parameters: int) -> None:
    network = models.build(name)
    assert count_macs(network, resolution) == macs
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


@pytest.mark.parametrize("name", ["mobilenet_v1_32", "efficientnet_compact_32"])
def test_width_scales_the_channels(name: str) -> None:
    whole = sum(parameter.numel() for parameter in models.build(name).parameters())
    half = sum(parameter.numel() for parameter in models.build(name, width=0.5).parameters())
    assert 0.2 * whole < half < 0.5 * whole
