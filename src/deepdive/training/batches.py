"""Turns indices of images into tensors: this process's share of each global batch, augmented and normalised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from deepdive.training.augment import Augment, Changes, apply, draw
from deepdive.training.image_set import ImageSet
from deepdive.training.order import Order


@dataclass(frozen=True)
class Normalize:
    """Pixels 0..255 become `(pixel - mean) / std`, one value each for R, G and B."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, pixels: np.ndarray, device: torch.device) -> Tensor:
        """uint8 (count, height, width, 3) to float32 (count, 3, height, width) in channels-last memory."""
        return self.scaled(torch.from_numpy(np.ascontiguousarray(pixels)).to(device).float().permute(0, 3, 1, 2))

    def scaled(self, pixels: Tensor) -> Tensor:
        """float32 (count, 3, height, width) from pixels 0..255 of that shape."""
        mean, std = (torch.tensor(values, device=pixels.device)[:, None, None] for values in (self.mean, self.std))
        return (pixels - mean) / std


RAW_PIXELS = Normalize((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
"""For networks that take pixels 0..255, as quantized ones do."""


@dataclass(frozen=True)
class Batch:
    """This process's share of a global batch.

    Parameters
    ----------
    images
        float32 (count, 3, height, width).
    labels, partners
        int64 (count,): the class, and that of the image mixed in.
    share
        Weight of `labels` in the loss; that of `partners` is the rest.
    """

    images: Tensor
    labels: Tensor
    partners: Tensor
    share: float


@dataclass(frozen=True)
class Batches:
    """The batches of a training, in the same order however many processes share them."""

    data: ImageSet
    order: Order
    augment: Augment
    normalize: Normalize
    device: torch.device

    def epoch(self, epoch: int, start: int = 0, size: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from step `start` on, shrunk to `size` x `size` pixels unless that is 0."""
        indices = self.order.epoch(epoch)
        for step in range(start, len(indices)):
            batch = self.batch(indices[step], epoch, step)
            yield replace(batch, images=shrunk(batch.images, size)) if size else batch

    def batch(self, indices: np.ndarray, epoch: int, step: int) -> Batch:
        """One batch: `indices` are those of the global one."""
        changes = draw(self.augment, len(indices), self.data.size, self.order.chance(epoch, step))
        own = np.arange(len(indices))[self.order.own]
        partner = changes.partner[own]
        images = self.changed(indices, own, changes)
        if self.augment.mixup:
            images = images.mul_(changes.share).add_(self.changed(indices, partner, changes), alpha=1 - changes.share)
        labels, partners = (
            torch.from_numpy(self.data.labels[indices[rows]]).to(self.device) for rows in (own, partner)
        )
        return Batch(images, labels, partners, changes.share)

    def changed(self, indices: np.ndarray, rows: np.ndarray, changes: Changes) -> Tensor:
        """Those rows of the global batch, augmented and normalised."""
        pixels = apply(self.augment, self.data.pixels(indices[rows]), changes.take(rows))
        return self.normalize(pixels, self.device)


def shrunk(images: Tensor, size: int) -> Tensor:
    """(count, 3, height, width) to (count, 3, size, size), each pixel an average of what it stands for."""
    small = F.interpolate(images, size=(size, size), mode="bilinear", antialias=True)
    return small.contiguous(memory_format=torch.channels_last)
