"""MobileNetV1 and V3, MNASNet and EfficientNet walk the whole flow: PyTorch to C++ compute units, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import deepdive
from classic_networks import efficientnet, mnasnet, mobilenet_v1, mobilenet_v3
from quantized_networks import random_images, warm_up

SIZE = (40, 32)
"""Height and width, not the same."""

NETWORKS: dict[str, tuple[Callable[[], nn.Module], list[str]]] = {
    "mobilenet_v1": (mobilenet_v1, ["head", "body", "body", "tail", "classifier"]),
    "mobilenet_v3": (mobilenet_v3, ["head", "body", "body", "body", "tail", "classifier"]),
    "mnasnet": (mnasnet, ["head", "body", "body", "body", "body", "tail", "classifier"]),
    "efficientnet": (efficientnet, ["head", "body", "body", "body", "body", "tail", "classifier"]),
}
"""Each network and the kinds of its units: none is left over."""


@pytest.mark.parametrize("name", NETWORKS)
def test_from_torch_to_cpp(name: str, tmp_path: Path) -> None:
    make, kinds = NETWORKS[name]
    torch.manual_seed(0)
    model = make()
    warm_up(model, SIZE)
    images = random_images(4, SIZE)
    net = deepdive.quantize(model.eval(), images, weights=4, activations=8, mean=(128.0,) * 3, std=(64.0,) * 3)
    design = deepdive.compile(net, board="zcu104", objective="min-resources", target_fps=5000)
    assert [unit.kind for unit in design.units] == kinds
    design.write(tmp_path / "build")
    found = deepdive.verify(tmp_path / "build", images[:2])
    found.check()
    assert found.rungs[1].maps == len(design.units)
