"""Networks by name, with random weights: what the zoo's benchmarks run."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

import deepdive
from deepdive.errors import DeepDiveError, nearest
from deepdive.models import zoo
from deepdive.qnet import QNet
from networks import random_codes
from zoo_networks import (
    efficientnet_b0,
    efficientnet_compact,
    efficientnet_lite0,
    mnasnet,
    mobilenet_v2,
    mobilenet_v3,
)

SHAPES: dict[str, Callable[..., QNet]] = {
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v2_075": partial(mobilenet_v2, width=0.75),
    "mobilenet_v3": mobilenet_v3,
    "mnasnet": mnasnet,
    "efficientnet_lite0": efficientnet_lite0,
    "efficientnet_b0": efficientnet_b0,
    "efficientnet_compact": efficientnet_compact,
}
"""Those of `tests/zoo_networks.py`: shapes, made without quantizing a PyTorch network, which takes long when large."""


CLASSICS = ("mobilenet_v3", "efficientnet_b0", "mnasnet")
"""Those that `deepdive.models` does not hold."""


def network(name: str, weight_bits: int, images: int) -> tuple[QNet, np.ndarray]:
    """``NAME[@RESOLUTION]`` of the zoo or of `CLASSICS`, and codes of so many images for it."""
    if name.partition("@")[0] in CLASSICS:
        net = shapes_of(name, weight_bits)
        return net, random_codes(net, images, seed=0)
    return quantized(name, weight_bits, images)


def shapes_of(name: str, weight_bits: int) -> QNet:
    """``NAME[@RESOLUTION]`` of `SHAPES`, at 224 pixels by default; or a network of the zoo, quantized with noise."""
    model, _, size = name.partition("@")
    if model in SHAPES:
        return SHAPES[model](int(size) if size else 224, weight_bits=weight_bits)
    if model not in zoo.names():
        raise DeepDiveError(f"There is no network '{model}'{nearest(model, [*SHAPES, *zoo.names()])}.")
    return quantized(name, weight_bits)[0]


def quantized(name: str, weight_bits: int, images: int = 2) -> tuple[QNet, np.ndarray]:
    """``NAME[@RESOLUTION]`` of the zoo with its first weights, quantized with `images` of noise; and those images."""
    model, _, size = name.partition("@")
    spec = zoo.find(model)
    resolution = int(size) if size else spec.resolution
    torch.manual_seed(0)
    noise = np.random.default_rng(0).integers(0, 256, (images, resolution, resolution, 3), dtype=np.uint8)
    module = zoo.build(model, resolution=resolution)
    return deepdive.quantize(module, noise, weights=weight_bits, activations=8, mean=spec.mean, std=spec.std), noise


def title(name: str) -> str:
    """A name as docs write it: ``mobilenet_v2_075@160`` is ``MobileNetV2-0.75-160``."""
    model, _, size = name.partition("@")
    words = {"mobilenet": "MobileNet", "efficientnet": "EfficientNet-", "mnasnet": "MNASNet", "lite": "Lite"}
    first, *rest = model.split("_")
    text = words.get(first, first)
    for word in rest:
        if re.fullmatch(r"0\d\d", word):
            text += f"-{int(word) / 100:g}"
        elif word.isdigit():
            text += f"-{word}"
        elif re.fullmatch(r"v\d", word):
            text += word.upper()
        else:
            text += word.capitalize()
    if not size and not model.endswith("_32"):
        size = f"{224 if model in SHAPES else zoo.find(model).resolution}"
    return f"{text}-{size}" if size else text
