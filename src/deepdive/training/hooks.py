"""Where a training can be changed from outside: once an epoch, and in its loss.

This is the seam for what quantized networks want on schedule: freezing batch norm, lowering bits, a teacher.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepdive.training.batches import Batch, Inputs


class Hook:
    """Does nothing; subclasses override what they need.

    A hook stores nothing that `epoch` does not give: what it changes in the network is either a buffer or parameter
    there, or set anew by `before_epoch`, which also runs for the current epoch after a resume. So a checkpoint needs
    nothing from it.
    """

    def before_epoch(self, network: nn.Module, epoch: int, epochs: int) -> None:
        """Called before the first step of each epoch 0..epochs-1, and after a resume; `network` is in training mode."""

    def extra_loss(self, batch: Batch, logits: Tensor) -> Tensor | None:
        """A scalar to add to the loss of this process's share of a batch, a mean over its images; None for nothing."""
        return None


class FreezeBatchNorm(Hook):
    """Stops the running statistics of plain batch norm and normalises with them from `epoch` on (Jacob 2018)."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def before_epoch(self, network: nn.Module, epoch: int, epochs: int) -> None:
        if epoch >= self.epoch:
            for module in network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()


class Distill(Hook):
    """Adds `weight * T^2 * KL(teacher || network)` at temperature T to the loss (Hinton 2015).

    Parameters
    ----------
    teacher
        Takes the same images; set to evaluation mode and left unchanged.
    weight, temperature
        Of the extra loss.
    inputs
        Turns raw pixels into what the teacher wants.
    """

    def __init__(self, teacher: nn.Module, inputs: Inputs, weight: float = 1.0, temperature: float = 2.0) -> None:
        self.teacher = teacher.eval().requires_grad_(False)
        self.inputs = inputs
        self.weight = weight
        self.temperature = temperature

    def extra_loss(self, batch: Batch, logits: Tensor) -> Tensor:
        with torch.no_grad():
            taught = self.teacher.to(logits.device)(self.inputs(batch.pixels))
            wanted = F.log_softmax(taught / self.temperature, dim=1)
        given = F.log_softmax(logits / self.temperature, dim=1)
        divergence = F.kl_div(given, wanted, reduction="batchmean", log_target=True)
        return self.weight * self.temperature**2 * divergence


def loss_of(batch: Batch, logits: Tensor, label_smoothing: float, hooks: Sequence[Hook]) -> Tensor:
    """Cross entropy of this process's share of a batch, and what hooks add."""
    loss = F.cross_entropy(logits, batch.labels, label_smoothing=label_smoothing)
    if batch.share < 1:
        mixed = F.cross_entropy(logits, batch.partners, label_smoothing=label_smoothing)
        loss = batch.share * loss + (1 - batch.share) * mixed
    for hook in hooks:
        extra = hook.extra_loss(batch, logits)
        if extra is not None:
            loss = loss + extra
    return loss
