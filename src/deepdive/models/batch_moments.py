"""Mean and variance of a feature map over the batch - the whole batch, when several processes share it."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn import functional as across


def is_shared() -> bool:
    """Whether several processes train together right now."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def summed(values: Tensor) -> Tensor:
    """The sum over all processes; gradients flow back to all of them."""
    total: Tensor = across.all_reduce(values)  # type: ignore[no-untyped-call]
    return total


def batch_moments(x: Tensor) -> tuple[Tensor, Tensor, int]:
    """Mean and biased variance of each channel, and the number of values each was taken over.

    Parameters
    ----------
    x
        (N, C, H, W); every process has the same number of images. Gradients flow through both results, back to the
        images of all processes.
    """
    count = x.numel() // x.shape[1]
    if not is_shared():
        variance, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
        return mean, variance, count
    processes = dist.get_world_size()
    # Two passes: the mean of squares minus the squared mean would cancel where a channel is far from zero.
    mean = summed(x.mean(dim=(0, 2, 3))) / processes
    variance = summed((x - mean[:, None, None]).square().mean(dim=(0, 2, 3))) / processes
    return mean, variance, count * processes
