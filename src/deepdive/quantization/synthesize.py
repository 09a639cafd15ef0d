"""Calibration images from nothing but the network: what its batch norm remembers of the images that it was trained on.

Noise is changed by gradient descent until the mean and variance that each channel takes on it are those that batch norm
tracked (ZeroQ, Cai 2020, arXiv 2001.00281, equation 3; Haroush 2020, arXiv 1912.01274). Such images show nothing, but
fill feature maps as real ones do, and that is all that calibration asks for.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from deepdive.errors import DeepDiveError
from deepdive.quantization.correct import Progress
from deepdive.quantization.modules import QuantizedConv, QuantizedLayer
from deepdive.quantization.prepare import QuantizedModel


@dataclass(frozen=True)
class Synthetic:
    """How images are made up.

    Parameters
    ----------
    images
        How many, at least 2.
    steps
        Of Adam, each through the whole network and back.
    rate
        Its learning rate, in standard deviations of a pixel.
    seed
        Of the noise.
    """

    images: int = 8
    steps: int = 60
    rate: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.images < 2 or self.steps < 1:
            raise DeepDiveError(
                f"Cannot make up {self.images} images in {self.steps} steps; ask for 2 or more, and at least 1 step."
            )


def synthesize(model: QuantizedModel, how: Synthetic | None = None, progress: Progress | None = None) -> Tensor:
    """Images that fill the network's maps as its training images did.

    Parameters
    ----------
    model
        Prepared; its batch norm must not be folded yet.

    Returns
    -------
    uint8 (images, H, W, C), raw pixels.

    Raises
    ------
    DeepDiveError
        When the network has no batch norm.
    """
    how = how or Synthetic()
    if all(layer.norm is None for layer in model.convolutions()):
        raise DeepDiveError(
            "The network has no batch norm, whose statistics could stand in for images; calibrate it with images."
        )
    device = next(model.parameters()).device
    mean, std = (torch.tensor(values, device=device)[:, None, None] for values in (model.pixels.mean, model.pixels.std))
    noise = rough_noise(how, model.input_shape).to(device).requires_grad_()
    optimizer = torch.optim.Adam([noise], how.rate)
    for step in range(how.steps):
        # Only what a pixel can be: 0..255, so that rounding to uint8 changes little.
        loss = mismatch(model, torch.clamp(noise * std + mean, 0, 255))
        (noise.grad,) = torch.autograd.grad(loss, [noise])
        optimizer.step()
        if progress:
            progress(f"making up images: step {step + 1} of {how.steps}")
    pixels = torch.clamp(noise.detach() * std + mean, 0, 255)
    return pixels.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def rough_noise(how: Synthetic, shape: tuple[int, int, int]) -> Tensor:
    """Noise with as much in coarse structures as in fine ones, as in photographs: (N, C, H, W), variance about 1."""
    generator = torch.Generator().manual_seed(how.seed)
    channels, height, width = shape
    octaves = []
    scale = 1
    while scale <= max(1, min(height, width) // 2):
        size = (-(-height // scale), -(-width // scale))
        grain = torch.randn(how.images, channels, *size, generator=generator)
        octaves.append(F.interpolate(grain, size=(height, width), mode="bilinear") if scale > 1 else grain)
        scale *= 2
    return torch.stack(octaves).sum(0) / len(octaves) ** 0.5


def mismatch(model: QuantizedModel, pixels: Tensor) -> Tensor:
    """How far the statistics of batch norm's inputs are from the tracked ones: 0-d, 0 for equal ones.

    The mean over layers and channels of ``((mean - m) / s)^2 + (deviation / s - 1)^2``, m and s the tracked mean and
    deviation.
    """
    terms = []

    def step(layer: QuantizedLayer, inputs: list[Tensor]) -> Tensor:
        if not isinstance(layer, QuantizedConv) or layer.norm is None:
            return layer.real(*inputs)
        norm = layer.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        x = layer.before_norm(inputs[0])
        variance, mean = torch.var_mean(x, (0, 2, 3))
        tracked = (norm.running_var + norm.eps).sqrt()
        away = ((mean - norm.running_mean) / tracked).square()
        terms.append((away + ((variance + norm.eps).sqrt() / tracked - 1).square()).mean())
        gain, _ = layer.norm_parts()
        shift = norm.bias if norm.affine else torch.zeros_like(mean)
        x = (x - norm.running_mean[:, None, None]) * gain.float()[:, None, None] + shift[:, None, None]
        return layer.clip(x)

    for _ in model.steps(pixels, step):
        pass
    return torch.stack(terms).mean()
