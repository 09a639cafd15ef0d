"""From a recipe's `[quantization]` and a float network to a network that trains quantized, and to what it became."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from deepdive.errors import DeepDiveError
from deepdive.models import ModelSpec
from deepdive.qnet.graph import QNet
from deepdive.quantization import Bits, Facts, QConfig, QuantizedModel, lower, prepare
from deepdive.quantization.quantizers import ActivationQuantizer, WeightQuantizer
from deepdive.training.batches import Batch, Normalize
from deepdive.training.hooks import Distill, FreezeBatchNorm, Hook
from deepdive.training.image_set import ImageSet
from deepdive.training.recipe import Quantization, Recipe

NET = "network.onnx"
CHECKED_IMAGES = 8


@dataclass(frozen=True)
class Quantized:
    """A network that trains quantized, and the hooks that do so on schedule."""

    network: QuantizedModel
    hooks: tuple[Hook, ...]


def quantized(network: nn.Module, spec: ModelSpec, recipe: Recipe) -> Quantized:
    """Quantize a float network for training; it stays as it is, and teaches if the recipe wants so.

    Raises
    ------
    DeepDiveError
        When the recipe does not fit, or as `prepare`.
    """
    wanted = recipe.quantization
    if wanted is None:
        raise DeepDiveError("The recipe has no [quantization]; add it.")
    if recipe.grow.size:
        raise DeepDiveError("A quantized network takes one size of images; leave [grow] out of its recipe.")
    size = (spec.resolution, spec.resolution)
    model = prepare(network, qconfig(wanted), size=size, mean=spec.mean, std=spec.std)
    hooks: list[Hook] = [FreezeBatchNorm(math.ceil(wanted.freeze * recipe.epochs))]
    if wanted.from_bits:
        hooks.append(LowerBits(model, wanted.from_bits, wanted.lower_until))
    if wanted.distill:
        teacher = copy.deepcopy(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        hooks.append(Distill(teacher, Normalize(spec.mean, spec.std), wanted.distill, wanted.temperature))
    if wanted.damping:
        hooks.append(Damp(wanted.damping))
    return Quantized(model, tuple(hooks))


def qconfig(wanted: Quantization) -> QConfig:
    """The bits of every layer."""
    overrides = {pattern: Bits(bits.weights, bits.activations) for pattern, bits in wanted.layers.items()}
    return QConfig(wanted.weights, wanted.activations, wanted.end_bits, overrides, wanted.scales)


def lowered(model: QuantizedModel, test: ImageSet, facts: Facts, out: Path) -> QNet:
    """The integer network of a trained one, compared on the first test images, written to `network.onnx`."""
    pixels = np.ascontiguousarray(test.pixels(np.arange(min(CHECKED_IMAGES, len(test)))))
    device = next(model.parameters()).device
    net = lower(model, torch.from_numpy(pixels).to(device), facts)
    net.save(out / NET)
    return net


class LowerBits(Hook):
    """Starts with more bits and takes one away after the other, at equal intervals.

    Parameters
    ----------
    network
        Just prepared: its bits are those to end with.
    first
        Bits of the first epoch, of all quantizers that end with fewer.
    until
        Share of the epochs at which the last bits are reached.
    """

    def __init__(self, network: QuantizedModel, first: int, until: float) -> None:
        self.first, self.until = first, until
        self.quantizers: list[ActivationQuantizer | WeightQuantizer] = [layer.output for layer in network]
        self.quantizers += [layer.weights for layer in network.convolutions()]
        self.last = [quantizer.bits for quantizer in self.quantizers]

    def before_epoch(self, network: nn.Module, epoch: int, epochs: int) -> None:
        """A quantizer chooses its scale anew when it sees that its bits have changed."""
        for quantizer, last in zip(self.quantizers, self.last, strict=True):
            steps = max(0, self.first - last)
            done = math.floor(steps * epoch / max(1.0, self.until * epochs))
            quantizer.bits = max(last, last + steps - done)


class Damp(Hook):
    """Pulls weights to the middle of their codes, so that they stop oscillating between two (Nagel 2022, section 4.2).

    Adds ``weight * sum((rounded - clipped)^2)`` to the loss, rising along a half cosine from 0 over the epochs.
    """

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self.now = 0.0
        self.network: QuantizedModel | None = None

    def before_epoch(self, network: nn.Module, epoch: int, epochs: int) -> None:
        assert isinstance(network, QuantizedModel)
        self.network = network
        self.now = self.weight * (1 - math.cos(math.pi * epoch / max(1, epochs - 1))) / 2

    def extra_loss(self, batch: Batch, logits: Tensor) -> Tensor | None:
        if not self.now or self.network is None:
            return None
        return self.now * torch.stack([layer.oscillation() for layer in self.network.convolutions()]).sum()
