"""A small training for tests that must start it as a process of its own: `train_digits.py OUT [--resume]`.

Prints a line after each step. Everything that draws random numbers is in it: order, augmentation, mixup, dropout.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from accelerate import PartialState
from torch import nn

from deepdive.models import ModelSpec
from deepdive.qnet.preprocess import Preprocess
from deepdive.training import (
    Augment,
    Hook,
    Job,
    Normalize,
    Optimizer,
    Quantization,
    Recipe,
    Schedule,
    Standing,
    Watcher,
    open_data,
    quantized,
    raw_pixels,
    train,
)
from deepdive.training.start import leave_together

RECIPE = Recipe(
    epochs=3,
    batch_size=200,
    seed=7,
    label_smoothing=0.1,
    optimizer=Optimizer(learning_rate=0.05, weight_decay=1e-3, clip=5.0),
    schedule=Schedule(warmup=0.2),
    augment=Augment(flip=True, shift=1, cutout=2, mixup=0.2),
)
SPEC = ModelSpec("small", "", nn.Identity, resolution=8, resize_short=8, mean=(80.0,) * 3, std=(90.0,) * 3)
QUANTIZATION = Quantization(
    weights=4, activations=5, freeze=0.6, from_bits=6, lower_until=0.6, distill=0.5, damping=1e-3
)
"""Bits fall and a teacher speaks from the first epoch, batch norm freezes for the last one, weights are damped."""


class Steps(Watcher):
    """Prints each step, so that whoever started the process knows where it stands."""

    def step(self, standing: Standing) -> None:
        print(f"step {standing.epoch}.{standing.step}", flush=True)

    def say(self, words: str) -> None:
        print(words, flush=True)


def network(dropout: float) -> nn.Module:
    """Convolutions, depthwise too, batch norm and dropout, from a seed."""
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU6(),
        nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU6(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(64, 10),
    )


def main(out: str, *flags: str) -> None:
    """Train; `--no-dropout` because each process drops other values, `--adamw`, `--quantized`, `--resume`."""
    torch.set_num_threads(1)
    recipe = RECIPE
    if "--adamw" in flags:
        recipe = recipe.model_copy(update={"optimizer": Optimizer(kind="adamw", learning_rate=0.01)})
    module: nn.Module = network(0.0 if "--no-dropout" in flags else 0.3)
    hooks: tuple[Hook, ...] = ()
    if "--quantized" in flags:
        recipe = recipe.model_copy(update={"quantization": QUANTIZATION})
        integer = quantized(module, SPEC, recipe)
        module, hooks = integer.network, integer.hooks
    job = Job(
        model="small",
        recipe=recipe,
        inputs=raw_pixels if "--quantized" in flags else Normalize(SPEC.mean, SPEC.std),
        out=Path(out),
        resume="--resume" in flags,
        cpu=True,
        checkpoint_seconds=0.0,
    )
    train(module, open_data("digits", Preprocess((8, 8))), job, hooks, watcher=Steps())
    leave_together(PartialState(cpu=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
