"""How many test images a network gets right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepdive.training.batches import Inputs
from deepdive.training.image_set import ImageSet

BATCH = 250


@dataclass(frozen=True)
class Score:
    """Right answers among `images` (top-1), and the mean cross entropy."""

    correct: int
    images: int
    loss: float

    @property
    def accuracy(self) -> float:
        """Share of right answers, 0..1."""
        return self.correct / self.images


@torch.no_grad()
def partial_sums(network: nn.Module, data: ImageSet, inputs: Inputs, part: tuple[int, int] = (0, 1)) -> Tensor:
    """Right answers, images and summed cross entropy over every `part[1]`-th image from `part[0]` on: float64 (3,)."""
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    was_training = [module for module in network.modules() if module.training]
    network.eval()
    sums = torch.zeros(3, dtype=torch.float64)
    own = np.arange(part[0], len(data), part[1])
    for start in range(0, len(own), BATCH):
        rows = own[start : start + BATCH]
        pixels = torch.from_numpy(np.ascontiguousarray(data.pixels(rows))).to(device)
        logits = network(inputs(pixels)).float()
        labels = torch.from_numpy(data.labels[rows]).to(device)
        right = int((logits.argmax(dim=1) == labels).sum())
        sums += torch.tensor([right, len(rows), float(F.cross_entropy(logits, labels, reduction="sum"))]).double()
    for module in was_training:
        module.training = True
    return sums


def score_of(sums: Tensor) -> Score:
    """The score that summed `partial_sums` give."""
    correct, images, loss = sums.tolist()
    return Score(int(correct), int(images), loss / images)


def evaluate(network: nn.Module, data: ImageSet, inputs: Inputs) -> Score:
    """Test a network on all images of a set, in evaluation mode; its mode is as before afterwards.

    `inputs` turns raw pixels into what the network wants: a `Normalize`, or `raw_pixels`.
    """
    return score_of(partial_sums(network, data, inputs))
