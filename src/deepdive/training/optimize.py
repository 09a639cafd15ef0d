"""From a recipe to an optimizer and the learning rate of each step."""

from __future__ import annotations

import math

import torch
from torch import nn

from deepdive.training.recipe import Optimizer, Schedule


def make_optimizer(network: nn.Module, recipe: Optimizer) -> torch.optim.Optimizer:
    """An optimizer of all parameters that want a gradient; only weights of two or more dimensions decay.

    A learned scale of a quantizer is therefore never called `weight`, or has one dimension.
    """
    decaying: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            is_weight = name.rpartition(".")[2] == "weight" and parameter.ndim > 1
            (decaying if is_weight else others).append(parameter)
    groups = [
        {"params": decaying, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if recipe.kind == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(recipe.momentum, 0.999))
    return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0)


def rate_at(schedule: Schedule, step: int, steps: int) -> float:
    """The learning rate of step 0..steps-1 as a share of its peak."""
    warmup = round(schedule.warmup * steps)
    if step < warmup:
        return schedule.start + (1 - schedule.start) * step / warmup
    done = (step - warmup) / (steps - warmup)
    if schedule.decay == "linear":
        return 1 - done
    if schedule.decay == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 1.0


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Let the next step use that learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
