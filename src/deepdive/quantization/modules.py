"""The quantized layers: each computes real values, and exactly the codes that its operator of the QNet computes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepdive.quantization.grid import Codes, Dyadic, Grid, dyadic, dyadic_pair
from deepdive.quantization.plan import AddLayer, Clip, ConvLayer, Layer, PoolLayer, ScaleLayer, TableLayer
from deepdive.quantization.quantizers import ActivationQuantizer, WeightQuantizer, per_channel
from deepdive.quantization.simulate import Simulated

EXACT_FLOAT32 = 1 << 24
"""Sums of integers whose magnitudes stay below this are exact in float32, in any order."""


@dataclass(frozen=True)
class Bits:
    """Bit widths of one layer: its weights and the feature map it writes."""

    weights: int = 8
    activations: int = 8


@dataclass(frozen=True)
class Pixels:
    """Raw pixels as input: the network was trained on ``(pixel - mean) / std``, one value a channel, pixels 0..255."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def zero_point(self) -> tuple[int, ...]:
        """The pixel value nearest to real zero, one a channel; the first convolution pads with it."""
        return tuple(min(255, max(0, round(mean))) for mean in self.mean)


class QuantizedLayer(nn.Module):
    """A layer of the plan with its output quantizer.

    ``real(*tensors)`` computes in float what the plan says; ``forward(*codes)`` computes the contract;
    ``simulate(*simulated)`` computes in float what the contract computes, with a gradient, for training. A layer that
    `keeps_codes` writes codes that it reads, on its inputs' grid.
    """

    keeps_codes = False

    def __init__(self, layer: Layer, bits: int, clip: Clip | None = None) -> None:
        super().__init__()
        self.name = layer.name
        self.inputs = tuple(layer.inputs)
        self.shape = layer.shape
        self.activation = clip
        self.output = ActivationQuantizer(bits)

    def real(self, *inputs: Tensor) -> Tensor:
        """Float values (N, C, H, W) from float values."""
        raise NotImplementedError

    def simulate(self, *inputs: Simulated) -> Simulated:
        """Real values on this layer's grid from real values on the grids of its inputs."""
        if self.keeps_codes:
            return Simulated(self.real(*(x.values for x in inputs)), self.output.grid)
        return self.settle(self.real(*(x.values for x in inputs)))

    def settle(self, x: Tensor) -> Simulated:
        """Clip and round real values to this layer's grid, which follows them."""
        self.output.watch(x, self.clip)
        return Simulated(self.output(x, *self.clip_codes()), self.output.grid)

    def clip(self, x: Tensor) -> Tensor:
        """The activation on real values."""
        return x if self.activation is None else self.activation(x)

    def clip_codes(self) -> tuple[int, int]:
        """The activation as bounds of the codes, zero point included."""
        grid = self.output.grid
        if self.activation is None:
            return grid.q_min, grid.q_max
        zero, scale = float(grid.zero_point), float(grid.scale.detach())
        low, high = (
            min(max(round(bound / scale) + zero, grid.q_min), grid.q_max) if abs(bound) != float("inf") else bound
            for bound in (self.activation.low, self.activation.high)
        )
        return int(max(low, grid.q_min)), int(min(high, grid.q_max))

    def finish(self, scaled: Tensor, dtype: torch.dtype) -> Codes:
        """Clip rescaled accumulators to this layer's codes."""
        grid, (q_min, q_max) = self.output.grid, self.clip_codes()
        zero = grid.zero_point
        return Codes(torch.clamp(scaled, q_min - zero, q_max - zero).to(dtype), grid)


@dataclass(frozen=True)
class ConvIntegers:
    """The integers of a convolution, as float64 tensors: weight codes, bias in accumulator steps, factor a channel."""

    weight: Tensor
    bias: Tensor
    factor: Dyadic
    scale: Tensor  # real value of one accumulator step, (out_channels,)


class QuantizedConv(QuantizedLayer):
    """Convolution or linear layer (as 1x1 convolution) with batch norm and activation."""

    def __init__(self, layer: ConvLayer, bits: Bits, pixels: Pixels | None = None) -> None:
        super().__init__(layer, bits.activations, layer.clip)
        self.weight = nn.Parameter(layer.weight.detach().clone())
        self.bias = nn.Parameter(torch.zeros(len(layer.weight)) if layer.bias is None else layer.bias.detach().clone())
        self.norm = layer.norm
        self.has_bias = layer.bias is not None
        if self.norm is not None:
            self.bias.requires_grad_(False)  # batch norm has one
        self.stride, self.padding, self.groups = layer.stride, layer.padding, layer.groups
        self.is_linear = layer.is_linear
        self.weights = WeightQuantizer(bits.weights, len(layer.weight))
        self.pixels = pixels

    @torch.no_grad()
    def fold(self) -> None:
        """Move batch norm into weight, scale and bias, for good."""
        if self.norm is None:
            return
        gain, bias = self.norm_parts()
        self.weights.scale.mul_(gain.abs())
        self.weight.mul_(per_channel(gain, self.weight))
        self.bias.copy_(bias)
        self.bias.requires_grad_(True)
        self.norm = None

    def norm_parts(self) -> tuple[Tensor, Tensor]:
        """What batch norm's running statistics multiply each channel by, and the bias behind it: float64 (O,)."""
        norm = self.norm
        if norm is None:
            return torch.ones_like(self.bias, dtype=torch.float64), self.bias.double()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        gain = torch.rsqrt(norm.running_var.double() + norm.eps)
        shift = torch.zeros_like(gain)
        if norm.affine:
            gain, shift = gain * norm.weight, norm.bias.double()
        return gain, (self.bias - norm.running_mean) * gain + shift

    def real(self, *inputs: Tensor) -> Tensor:
        """Float output; the input is raw pixels 0..255 where the layer reads the network's input."""
        return self.clip(self.real_sum(inputs[0]))

    def real_sum(self, x: Tensor) -> Tensor:
        """Before the activation."""
        x = self.normalized(x)
        gain, bias = self.norm_parts()
        weight = (self.weight * per_channel(gain, self.weight)).float()
        return self.convolve(x, weight) + bias.float()[:, None, None]

    def before_norm(self, x: Tensor) -> Tensor:
        """Before batch norm."""
        return self.convolve(self.normalized(x), self.weight, self.bias)

    def normalized(self, x: Tensor) -> Tensor:
        """Raw pixels as the float network wants them; other inputs as they are."""
        if self.pixels is None:
            return x
        mean, std = (torch.tensor(v, dtype=x.dtype, device=x.device) for v in (self.pixels.mean, self.pixels.std))
        return (x - mean[:, None, None]) / std[:, None, None]

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Zero padding and convolution."""
        top, left, bottom, right = self.padding
        if (top, left) == (bottom, right):
            return F.conv2d(x, weight, bias, self.stride, (top, left), 1, self.groups)
        return F.conv2d(F.pad(x, (left, right, top, bottom)), weight, bias, self.stride, 0, 1, self.groups)

    def integers(self, x: Grid) -> ConvIntegers:
        """Weights, bias and factors for an input on grid `x`; the one source of `forward` and of `lower`."""
        gain, bias = self.norm_parts()
        gain = gain / self.unit
        weight = self.effective_weight().double() * per_channel(gain, self.weight)
        scale = self.weights.safe_scale(gain, bias, x.scale)
        codes = self.weights(weight, scale)
        step = x.scale * scale
        steps = bias / step
        if self.pixels is not None:
            steps = steps - self.residual_sum(codes)
        return ConvIntegers(codes, torch.round(steps), dyadic(step / self.output.grid.scale), step)

    def residual_sum(self, weight: Tensor) -> Tensor:
        """What raw pixels bring to each sum beyond ``pixel - zero_point``: (O,), the same at every position."""
        assert self.pixels is not None
        residual = tuple(mean - zero for mean, zero in zip(self.pixels.mean, self.pixels.zero_point, strict=True))
        return (weight * self.per_input(residual)).sum((1, 2, 3))

    def effective_weight(self) -> Tensor:
        """The float weight that is quantized: on raw pixels, with ``std / unit`` folded into it.

        Batch norm's gain is left for later. Scales are per output channel, so folding it multiplies a channel's weight
        and scale by one number and leaves the codes as they are.
        """
        if self.pixels is None:
            return self.weight
        return (self.weight.double() * (self.unit / self.per_input(self.pixels.std))).float()

    @property
    def unit(self) -> float:
        """What the quantized weight is too large by: the mean std of raw pixels, so that the weights and their scales
        learn at the pace that they would without it; 1 for other inputs.
        """
        return 1.0 if self.pixels is None else sum(self.pixels.std) / len(self.pixels.std)

    def simulate(self, *inputs: Simulated) -> Simulated:
        """With the statistics of the batch, or (batch norm frozen or folded) with exactly the integers of `lower`."""
        x = inputs[0]
        weight = self.effective_weight()
        self.weights.watch(weight)
        if self.norm is None or not self.norm.training:
            return self.settle(self.convolve(x.values, *self.frozen(x.grid, weight)))
        weight = self.weights.simulate(weight)
        bias: Tensor | None = self.bias if self.has_bias else None
        if self.pixels is not None:
            weight = weight / self.unit
        if self.pixels is not None:
            bias = self.bias - self.residual_sum(weight).float()
        return self.settle(self.norm(self.convolve(x.values, weight, bias)))

    def frozen(self, x: Grid, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias of an unchanging batch norm: what the integers of `lower` stand for, straight through.

        `weight` is the effective one. Scales become what ``mult / 2**shift`` can express, and the bias a whole number
        of accumulator steps.
        """
        gain, bias = self.norm_parts()
        gain = gain.float() / self.unit
        with torch.no_grad():
            integers = self.integers(x)
            # One accumulator step; before the output's scale is chosen, the given one.
            unit = integers.factor.value * self.output.grid.scale if self.output.is_fitted else integers.scale
        weight = self.weights.simulate(weight, gain, (integers.weight, unit / x.scale))
        if self.pixels is not None:
            bias = bias - self.residual_sum(weight)
        error = integers.bias * unit - bias.detach()
        return weight, (bias + error).float()

    def oscillation(self) -> Tensor:
        """Squared distance of the weights from their codes, those within range: 0-d, with a gradient."""
        weight, scale = self.effective_weight(), self.weights.scale.detach().abs()
        with torch.no_grad():
            rounded = self.weights(weight, scale.double()).float() * per_channel(scale, weight)
            limits = per_channel(scale, weight) * self.weights.q_min, per_channel(scale, weight) * self.weights.q_max
        return (rounded - torch.clamp(weight, *limits)).square().sum()

    def per_input(self, values: tuple[float, ...]) -> Tensor:
        """One value an input channel, float64, in a shape that broadcasts over the weight."""
        out_channels, per_group = self.weight.shape[:2]
        grouped = torch.tensor(values, dtype=torch.float64, device=self.weight.device).reshape(self.groups, per_group)
        return grouped.repeat_interleave(out_channels // self.groups, 0)[:, :, None, None]

    def accumulate(self, x: Codes, integers: ConvIntegers) -> Tensor:
        """The int32 accumulators, as float64 (N, O, H, W)."""
        reach = torch.maximum(x.grid.low.abs(), x.grid.high.abs()).max()
        exact = integers.weight.abs().sum((1, 2, 3)).max() * reach < EXACT_FLOAT32
        dtype = torch.float32 if bool(exact) else torch.float64
        acc = self.convolve(x.values.to(dtype), integers.weight.to(dtype))
        return acc.double() + integers.bias[:, None, None]

    def forward(self, *inputs: Codes) -> Codes:
        """Codes of the contract."""
        x = inputs[0]
        integers = self.integers(x.grid)
        factor = Dyadic(integers.factor.mult[:, None, None], integers.factor.shift[:, None, None])
        return self.finish(factor.apply(self.accumulate(x, integers)), x.values.dtype)


class QuantizedAdd(QuantizedLayer):
    """Residual add."""

    def __init__(self, layer: AddLayer, bits: Bits) -> None:
        super().__init__(layer, bits.activations, layer.clip)

    def real(self, *inputs: Tensor) -> Tensor:
        return self.clip(inputs[0] + inputs[1])

    def simulate(self, *inputs: Simulated) -> Simulated:
        return self.settle(inputs[0].values + inputs[1].values)  # the codes' bounds clip

    def factors(self, first: Grid, second: Grid) -> tuple[Dyadic, Dyadic]:
        """Two factors with one shift."""
        scale = self.output.grid.scale
        return dyadic_pair(first.scale / scale, second.scale / scale)

    def forward(self, *inputs: Codes) -> Codes:
        a, b = inputs
        first, second = self.factors(a.grid, b.grid)
        total = a.values.double() * first.mult + b.values.double() * second.mult
        return self.finish(Dyadic(torch.ones_like(first.mult), first.shift).apply(total), a.values.dtype)


class QuantizedPool(QuantizedLayer):
    """Global average pool."""

    def __init__(self, layer: PoolLayer, bits: Bits, pixels: int) -> None:
        super().__init__(layer, bits.activations, layer.clip)
        self.count = pixels

    def real(self, *inputs: Tensor) -> Tensor:
        return self.clip(inputs[0].mean((2, 3), keepdim=True))

    def factor(self, x: Grid) -> Dyadic:
        """1 / (H * W) inside."""
        return dyadic(x.scale / (self.output.grid.scale * self.count))

    def forward(self, *inputs: Codes) -> Codes:
        x = inputs[0]
        acc = x.values.double().sum((2, 3), keepdim=True)
        return self.finish(self.factor(x.grid).apply(acc), x.values.dtype)


class QuantizedScale(QuantizedLayer):
    """Squeeze-excite: every pixel times one factor a channel."""

    def __init__(self, layer: ScaleLayer, bits: Bits) -> None:
        super().__init__(layer, bits.activations, layer.clip)

    def real(self, *inputs: Tensor) -> Tensor:
        return self.clip(inputs[0] * inputs[1])

    def factor(self, x: Grid, factors: Grid) -> Dyadic:
        """From a product of two codes to a code."""
        return dyadic(x.scale * factors.scale / self.output.grid.scale)

    def forward(self, *inputs: Codes) -> Codes:
        x, factors = inputs
        acc = x.values.double() * factors.values.double()
        return self.finish(self.factor(x.grid, factors.grid).apply(acc), x.values.dtype)


class QuantizedTable(QuantizedLayer):
    """Any function of one value, one output code for each input code."""

    def __init__(self, layer: TableLayer, bits: Bits) -> None:
        super().__init__(layer, bits.activations)
        self.function = layer.function

    def real(self, *inputs: Tensor) -> Tensor:
        return self.function(inputs[0])

    def table(self, x: Grid) -> Tensor:
        """Centred output codes, float64, for the input codes from smallest to largest."""
        codes = torch.arange(x.q_min, x.q_max + 1, dtype=torch.float64, device=x.scale.device)
        grid = self.output.grid
        steps = torch.floor(self.function((codes - x.zero_point) * x.scale) / grid.scale + 0.5)
        return torch.clamp(steps, grid.low, grid.high)

    def forward(self, *inputs: Codes) -> Codes:
        x = inputs[0]
        index = (x.values + x.grid.zero_point - x.grid.q_min).long()
        return Codes(self.table(x.grid)[index].to(x.values.dtype), self.output.grid)
