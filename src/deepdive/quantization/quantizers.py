"""Where real numbers become codes: weights per output channel, feature maps per tensor."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deepdive.errors import DeepDiveError
from deepdive.quantization.grid import Grid

ACCURATE_BIAS = 1 << 24
"""A weight scale is never so small that the bias would need more than this many accumulator steps."""
SMALLEST_SCALE = 1e-30


class WeightQuantizer(nn.Module):
    """Symmetric signed codes of `bits` bits, one scale an output channel.

    ``scale`` is a float32 parameter (out_channels,). ``offset`` is 0, or what moves a weight to the other neighbouring
    code (adaptive rounding), shape of the weight.
    """

    def __init__(self, bits: int, out_channels: int) -> None:
        super().__init__()
        check_bits("Weights", bits)
        self.bits = bits
        self.scale = nn.Parameter(torch.ones(out_channels))

    @property
    def q_min(self) -> int:
        return -(1 << (self.bits - 1))

    @property
    def q_max(self) -> int:
        return (1 << (self.bits - 1)) - 1

    def safe_scale(self, bias: Tensor, input_scale: Tensor) -> Tensor:
        """The scale, float64 (out_channels,), kept away from zero for the sake of dead channels and their bias."""
        smallest = bias.abs().double() / (input_scale * ACCURATE_BIAS)
        return torch.maximum(self.scale.double().abs(), smallest.clamp(min=SMALLEST_SCALE))

    def forward(self, weight: Tensor, scale: Tensor) -> Tensor:
        """Codes, integers as float64 in the weight's shape, of `weight` for `scale` (out_channels,)."""
        steps = weight.double() / per_channel(scale, weight)
        return torch.round(steps).clamp(self.q_min, self.q_max)

    @torch.no_grad()
    def fit(self, weight: Tensor, *, search: bool) -> None:
        """Set the scales for `weight`: the largest magnitude, or (`search`) the least mean squared error below it."""
        flat = weight.detach().double().flatten(1)
        full = (flat.abs().amax(1) / self.q_max).clamp(min=SMALLEST_SCALE)
        best, least = full, torch.full_like(full, float("inf"))
        for fraction in torch.linspace(0.4, 1.0, 61, dtype=torch.float64).flip(0) if search else (1.0,):
            scale = full * fraction
            error = (self(flat, scale) * scale[:, None] - flat).square().sum(1)
            best, least = torch.where(error < least, scale, best), torch.minimum(error, least)
        self.scale.copy_(best)


class ActivationQuantizer(nn.Module):
    """Unsigned codes of `bits` bits with one scale and one zero point for the tensor.

    ``scale`` is a float32 parameter (0-d), ``zero_point`` a buffer (0-d) that holds an integer.
    """

    zero_point: Tensor

    def __init__(self, bits: int) -> None:
        super().__init__()
        check_bits("Activations", bits)
        self.bits = bits
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.register_buffer("zero_point", torch.tensor(0.0))

    @property
    def q_max(self) -> int:
        return (1 << self.bits) - 1

    @property
    def grid(self) -> Grid:
        """The grid of codes 0..q_max."""
        scale = self.scale.double().abs().clamp(min=SMALLEST_SCALE)
        return Grid(scale, self.zero_point.double().reshape(1), 0, self.q_max)

    @torch.no_grad()
    def set_range(self, low: float, high: float) -> None:
        """Cover the real values low..high, stretched to hold zero; a range of nothing gets scale 1."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = (high - low) / self.q_max
        if not scale > SMALLEST_SCALE:
            self.scale.fill_(1.0)
            self.zero_point.fill_(0.0)
        else:
            self.scale.fill_(scale)
            self.zero_point.fill_(min(self.q_max, round(-low / scale)))


def per_channel(values: Tensor, weight: Tensor) -> Tensor:
    """(out_channels,) in a shape that broadcasts over a weight (out_channels, ...)."""
    return values.reshape(-1, *([1] * (weight.dim() - 1)))


def check_bits(what: str, bits: int) -> None:
    """Refuse bit widths that the contract does not have."""
    if bits not in range(2, 9):
        raise DeepDiveError(f"{what} cannot have {bits} bits; choose 2 to 8.")
