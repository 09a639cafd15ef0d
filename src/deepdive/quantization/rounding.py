"""Adaptive rounding: the codes whose layer output is nearest to the float one, not the codes nearest to the weights.

The objective is that of AdaRound (Nagel 2020, arXiv 2004.10568): E |W x - W_q x_q|^2 over the inputs that a layer sees,
x in the float network and x_q in the quantized one. It is quadratic in W_q, so second moments of the inputs are all it
takes. It is minimised column by column with error feedback as in OPTQ (Frantar 2023, arXiv 2210.17323): what rounding
one weight does to the output is made good by the weights that are not rounded yet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from deepdive.quantization.modules import QuantizedConv

POSITIONS = (64, 256)  # output pixels of each image that enter the moments: 4 K, but at least and at most these
DAMPING = 0.3  # share of the mean variance that every input gets besides its own: what few images cannot tell
BLOCK = 64  # columns between two updates of all the columns that follow


@dataclass(frozen=True)
class Moments:
    """Covariances of a layer's inputs, float64 (groups, K, K), K = channels in a group * kernel height * kernel width.

    ``quantized`` is E[x_q x_q^T], ``cross`` E[x x_q^T].
    """

    quantized: Tensor
    cross: Tensor


def patches(layer: QuantizedConv, x: Tensor, positions: Tensor) -> Tensor:
    """The inputs of the output pixels in `positions`, all images: (groups, samples, K), K ordered as in the weight."""
    top, left, bottom, right = layer.padding
    x = F.pad(x, (left, right, top, bottom))
    rows, columns = (positions // layer.shape[2]) * layer.stride[0], (positions % layer.shape[2]) * layer.stride[1]
    kernel_h, kernel_w = layer.weight.shape[2:]
    taps = [x[:, :, rows + ky, columns + kx] for ky in range(kernel_h) for kx in range(kernel_w)]
    stacked = torch.stack(taps, 2).flatten(1, 2)  # (N, C * taps, positions)
    grouped = stacked.reshape(len(x), layer.groups, -1, len(positions))
    return grouped.permute(1, 0, 3, 2).flatten(1, 2)


def measure(layer: QuantizedConv, real: Tensor, quantized: Tensor) -> Moments:
    """Moments of a layer's inputs (N, C, H, W), both as real values."""
    generator = torch.Generator().manual_seed(0)
    count = min(max(4 * layer.weight[0].numel(), POSITIONS[0]), POSITIONS[1])
    positions = torch.randperm(layer.shape[1] * layer.shape[2], generator=generator)[:count].to(real.device)
    x, y = (patches(layer, one, positions) for one in (real, quantized))
    x, y = (one - one.mean(1, keepdim=True) for one in (x, y))
    return Moments((y.mT @ y).double() / y.shape[1], (x.mT @ y).double() / y.shape[1])


def choose_codes(weight: Tensor, moments: Moments, quantize: Callable[[Tensor], Tensor]) -> Tensor:
    """Quantized weights of least output error.

    Parameters
    ----------
    weight
        float64 (groups, out_channels / groups, K).
    quantize
        Rounds a column (groups, out_channels / groups) to values that codes can have.
    """
    size = weight.shape[2]
    variance = moments.quantized.diagonal(dim1=1, dim2=2).mean(1).clamp(min=1e-12)
    damping = DAMPING * variance[:, None, None] * torch.eye(size, dtype=weight.dtype, device=weight.device)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(moments.quantized + damping))
    # The best real weights for the quantized inputs; the damping pulls towards the given ones.
    work = weight @ (moments.cross + damping) @ inverse
    factor = torch.linalg.cholesky(inverse, upper=True)
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        errors = torch.empty_like(work[:, :, start:stop])
        for k in range(start, stop):
            column = work[:, :, k].clone()
            work[:, :, k] = quantize(column)
            error = errors[:, :, k - start] = (column - work[:, :, k]) / factor[:, k, k, None]
            work[:, :, k + 1 : stop] -= error[:, :, None] * factor[:, k, None, k + 1 : stop]
        work[:, :, stop:] -= errors @ factor[:, start:stop, stop:]
    return work


@torch.no_grad()
def round_adaptively(layer: QuantizedConv, real: Tensor, quantized: Tensor, input_scale: Tensor) -> None:
    """Replace the layer's weights by those of its codes that reproduce its float output best.

    `real` and `quantized` are its input (N, C, H, W) in the float and in the quantized network, as real values (on raw
    pixels, both as centred codes).
    """
    groups, shape = layer.groups, layer.weight.shape
    gain, bias = layer.norm_parts()
    scale = layer.weights.safe_scale(gain / layer.unit, bias, input_scale).reshape(groups, -1)
    weight = (layer.effective_weight().double() / layer.unit).reshape(groups, shape[0] // groups, -1)

    def quantize(column: Tensor) -> Tensor:
        return torch.round(column / scale).clamp(layer.weights.q_min, layer.weights.q_max) * scale

    try:
        chosen = choose_codes(weight, measure(layer, real, quantized), quantize).reshape(shape)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]  # torch's stubs leave it out
        return  # inputs whose squares leave float32 have no covariances; the codes nearest to the weights stay
    if layer.pixels is not None:
        chosen = chosen * layer.per_input(layer.pixels.std)
    layer.weight.copy_(chosen)
