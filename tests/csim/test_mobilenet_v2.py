"""MobileNetV2 with random weights walks the whole flow: PyTorch to C++ compute units, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import deepdive
from deepdive.models import zoo


def test_mobilenet_v2_from_torch_to_cpp(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = zoo.build("mobilenet_v2", width=0.35, resolution=64, num_classes=20)
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    spec = zoo.find("mobilenet_v2")
    net = deepdive.quantize(model, images, weights=4, activations=8, mean=spec.mean, std=spec.std)
    design = deepdive.compile(net, board="zcu102", objective="min-resources", target_fps=1000)
    design.write(tmp_path / "build")

    found = deepdive.verify(tmp_path / "build", images[:2])
    found.check()
    assert [rung.engine for rung in found.rungs] == ["ONNX Runtime", "C simulation"]
    assert found.rungs[1].maps == len(design.units)
    kinds = [unit.kind for unit in design.units]
    assert kinds == ["head", *["body"] * 16, "tail", "classifier"]
