"""Batch norm over the global batch, so that many processes train what one would."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deepdive.models.batch_moments import batch_moments, is_shared


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose statistics are those of all processes' images; torch's own one needs a GPU for this."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        if not (self.training and is_shared()):
            return super().forward(x)
        mean, variance, count = batch_moments(x)
        if self.running_mean is not None and self.running_var is not None:
            with torch.no_grad():
                self.update(mean, variance * count / max(count - 1, 1))
        gain = torch.rsqrt(variance + self.eps)
        if self.affine:
            gain = gain * self.weight
        y = (x - mean[:, None, None]) * gain[:, None, None]
        return y + self.bias[:, None, None] if self.affine else y

    def update(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics a step towards those of a batch; `variance` is the unbiased one."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)


def share_batch_norm(network: nn.Module) -> None:
    """Let every BatchNorm2d of `network` use the statistics of all processes, in place.

    The modules change their class alone and keep names, tensors and whoever refers to them, so traced and quantized
    networks stay what they are. A quantized layer that takes batch statistics itself calls `batch_moments`.
    """
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm2d
