"""Where real numbers become codes: weights per output channel, feature maps per tensor."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from deepdive.errors import DeepDiveError
from deepdive.quantization.grid import Grid
from deepdive.quantization.observe import extremes, range_of
from deepdive.quantization.ranges import RangeMethod
from deepdive.quantization.simulate import Steps, round_map, round_weight

Learning = Literal["lsq", "ema"]
"""How scales follow while a network trains: learned by gradient (Esser 2020), or tracked (Jacob 2018)."""
LEARNINGS = ("lsq", "ema")
TRACKING = 0.02
"""Share of a batch's extremes in the tracked ones."""

ACCURATE_BIAS = 1 << 24
"""A weight scale is never so small that the bias would need more than this many accumulator steps."""
SMALLEST_SCALE = 1e-30


class WeightQuantizer(nn.Module):
    """Symmetric signed codes of `bits` bits, one scale an output channel.

    ``scale`` is a float32 parameter (out_channels,), in units of the weight before batch norm is folded into it:
    batch norm's gain multiplies weight and scale alike, so the codes are the same before and after. ``fitted`` is a
    buffer (0-d) with the bits that the scales were last chosen for; 0 before they ever were.
    """

    fitted: Tensor

    def __init__(self, bits: int, out_channels: int) -> None:
        super().__init__()
        check_bits("Weights", bits)
        self.bits = bits
        self.scale = nn.Parameter(torch.ones(out_channels))
        self.register_buffer("fitted", torch.tensor(0))

    def follow(self, learning: Learning) -> None:
        """How the scales follow training."""
        self.scale.requires_grad_(learning == "lsq")

    @property
    def q_min(self) -> int:
        return -(1 << (self.bits - 1))

    @property
    def q_max(self) -> int:
        return (1 << (self.bits - 1)) - 1

    def safe_scale(self, gain: Tensor, bias: Tensor, input_scale: Tensor) -> Tensor:
        """The scale with batch norm's gain in it, away from zero for the sake of dead channels and their bias.

        All are float64, (out_channels,) but for the scale of the input.
        """
        smallest = bias.abs() / (input_scale * ACCURATE_BIAS)
        return torch.maximum((self.scale.double() * gain).abs(), smallest.clamp(min=SMALLEST_SCALE))

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
        self.fitted.fill_(self.bits)

    def watch(self, weight: Tensor) -> None:
        """While training: choose the scales at first and for other bits, or (tracked) for every new weight."""
        learned = self.scale.requires_grad
        if not learned or int(self.fitted) != self.bits:
            self.fit(weight, search=learned and self.bits < 8)

    def simulate(
        self, weight: Tensor, gain: Tensor | None = None, integers: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """The weight on its grid, float32, with the gradients of LSQ.

        `gain` (O,) multiplies weight and scale. `integers` are codes and step (O,), where they are known already.
        """
        scale = self.scale.abs().clamp(min=SMALLEST_SCALE)
        if gain is not None:
            weight, scale = weight * per_channel(gain, weight), scale * gain.abs().clamp(min=SMALLEST_SCALE)
        if integers is None:
            with torch.no_grad():
                integers = (self(weight, scale.double()), scale)
        codes, step = integers
        limits = Steps(self.q_min, self.q_max, 1 / math.sqrt(weight[0].numel() * self.q_max))
        return round_weight(
            weight, per_channel(scale, weight), codes.float(), limits, per_channel(step, weight).float()
        )


class ActivationQuantizer(nn.Module):
    """Unsigned codes of `bits` bits with one scale and one zero point for the tensor.

    ``scale`` is a float32 parameter (0-d), ``zero_point`` a buffer (0-d) that holds an integer. ``fitted`` is a buffer
    (0-d) with the bits that they were last chosen for, 0 before they ever were; ``tracked`` one (2,) with the
    extremes that are followed where scales are not learned.
    """

    zero_point: Tensor
    fitted: Tensor
    tracked: Tensor | None

    def __init__(self, bits: int) -> None:
        super().__init__()
        check_bits("Activations", bits)
        self.bits = bits
        self.method = RangeMethod("mse")
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.register_buffer("zero_point", torch.tensor(0.0))
        self.register_buffer("fitted", torch.tensor(0))
        self.register_buffer("tracked", None)

    def follow(self, learning: Learning) -> None:
        """How the scale follows training."""
        self.scale.requires_grad_(learning == "lsq")
        self.tracked = torch.zeros_like(self.zero_point).repeat(2) if learning == "ema" else None

    @property
    def is_fitted(self) -> bool:
        """Whether the scale was ever chosen for these bits."""
        return int(self.fitted) == self.bits

    @property
    def q_max(self) -> int:
        return (1 << self.bits) - 1

    @property
    def grid(self) -> Grid:
        """The grid of codes 0..q_max, without a gradient."""
        scale = self.scale.detach().double().abs().clamp(min=SMALLEST_SCALE)
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
        self.fitted.fill_(self.bits)

    @torch.no_grad()
    def watch(self, x: Tensor, clip: Callable[[Tensor], Tensor]) -> None:
        """While training: choose the range at first and for other bits, or (tracked) follow each batch.

        `x` (N, C, H, W) are real values that `clip` will limit.
        """
        if self.tracked is not None:
            seen = clip(extremes(x)).to(self.tracked)
            never = int(self.fitted) == 0
            self.tracked.copy_(seen if never else torch.lerp(self.tracked, seen, TRACKING))
            self.set_range(*self.tracked.tolist())
        elif not self.is_fitted:
            self.set_range(*range_of(clip(x), self.method, self.bits))

    def forward(self, x: Tensor, q_min: int, q_max: int) -> Tensor:
        """Real values (N, C, H, W), float32, rounded to the codes `q_min`..`q_max`, with the gradients of LSQ."""
        zero = float(self.zero_point)
        step = self.scale.abs().clamp(min=SMALLEST_SCALE)
        gain = 1 / math.sqrt(x[0].numel() * self.q_max)
        return round_map(x, step, Steps(q_min - zero, q_max - zero, gain))


def per_channel(values: Tensor, weight: Tensor) -> Tensor:
    """(out_channels,) in a shape that broadcasts over a weight (out_channels, ...)."""
    return values.reshape(-1, *([1] * (weight.dim() - 1)))


def check_bits(what: str, bits: int) -> None:
    """Refuse bit widths that the contract does not have."""
    if bits not in range(2, 9):
        raise DeepDiveError(f"{what} cannot have {bits} bits; choose 2 to 8.")
