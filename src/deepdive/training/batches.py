"""Turns indices of images into tensors: this process's share of each global batch, augmented, as raw pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from deepdive.training.augment import Augment, Changes, apply, draw
from deepdive.training.image_set import ImageSet
from deepdive.training.order import Order

Inputs = Callable[[Tensor], Tensor]
"""What a network wants of raw pixels, uint8 (count, height, width, 3)."""


@dataclass(frozen=True)
class Normalize:
    """Pixels 0..255 become `(pixel - mean) / std`, one value each for R, G and B: what a float network wants."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, pixels: Tensor) -> Tensor:
        """uint8 (count, height, width, 3) to float32 (count, 3, height, width) in channels-last memory."""
        mean, std = (torch.tensor(values, device=pixels.device) for values in (self.mean, self.std))
        return ((pixels.float() - mean) / std).permute(0, 3, 1, 2)


def raw_pixels(pixels: Tensor) -> Tensor:
    """The pixels as they are: what a quantized network wants."""
    return pixels


@dataclass(frozen=True)
class Batch:
    """This process's share of a global batch.

    Parameters
    ----------
    pixels
        uint8 (count, height, width, 3).
    labels, partners
        int64 (count,): the class, and that of the image mixed in.
    share
        Weight of `labels` in the loss; that of `partners` is the rest.
    """

    pixels: Tensor
    labels: Tensor
    partners: Tensor
    share: float


@dataclass(frozen=True)
class Batches:
    """The batches of a training, in the same order however many processes share them."""

    data: ImageSet
    order: Order
    augment: Augment
    device: torch.device

    def epoch(self, epoch: int, start: int = 0, size: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from step `start` on, shrunk to `size` x `size` pixels unless that is 0."""
        indices = self.order.epoch(epoch)
        for step in range(start, len(indices)):
            yield self.batch(indices[step], epoch, step, size)

    def batch(self, indices: np.ndarray, epoch: int, step: int, size: int) -> Batch:
        """One batch: `indices` are those of the global one."""
        changes = draw(self.augment, len(indices), self.data.size, self.order.chance(epoch, step))
        own = np.arange(len(indices))[self.order.own]
        partner = changes.partner[own]
        pixels = self.changed(indices, own, changes)
        if self.augment.mixup:
            pixels = mixed(pixels, self.changed(indices, partner, changes), changes.share)
        images = torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device)
        labels, partners = (
            torch.from_numpy(self.data.labels[indices[rows]]).to(self.device) for rows in (own, partner)
        )
        return Batch(shrunk(images, size) if size else images, labels, partners, changes.share)

    def changed(self, indices: np.ndarray, rows: np.ndarray, changes: Changes) -> np.ndarray:
        """Those rows of the global batch, augmented."""
        return apply(self.augment, self.data.pixels(indices[rows]), changes.take(rows))


def mixed(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """Pixels with weight `share` of the first, rounded: mixtures too are images that a camera could give."""
    return np.rint(first * np.float32(share) + second * np.float32(1 - share)).astype(np.uint8)


def shrunk(pixels: Tensor, size: int) -> Tensor:
    """uint8 (count, height, width, 3) to (count, size, size, 3), each pixel an average of those it stands for."""
    images = pixels.permute(0, 3, 1, 2).float()
    small = F.interpolate(images, size=(size, size), mode="bilinear", antialias=True)
    return small.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
