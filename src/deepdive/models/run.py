"""Running a float network on raw pixels."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from deepdive.models.zoo import ModelSpec


@torch.no_grad()
def float_logits(model: nn.Module, spec: ModelSpec, images: np.ndarray) -> np.ndarray:
    """Outputs (batch, classes), float32, for raw pixels, uint8 (batch, height, width, 3)."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (spec.mean, spec.std))
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
    logits: np.ndarray = model.eval()((pixels - mean) / std).numpy()
    return logits
