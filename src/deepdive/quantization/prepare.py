"""From a float network to its quantized twin."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from deepdive.errors import CheckFailed, DeepDiveError, UnsupportedLayer
from deepdive.quantization.fuse import fuse
from deepdive.quantization.grid import Codes, Grid
from deepdive.quantization.modules import (
    Bits,
    Pixels,
    QuantizedAdd,
    QuantizedConv,
    QuantizedLayer,
    QuantizedPool,
    QuantizedScale,
    QuantizedTable,
)
from deepdive.quantization.plan import (
    INPUT,
    AddLayer,
    AvgPoolLayer,
    ConcatLayer,
    ConvLayer,
    Layer,
    MaxPoolLayer,
    PadLayer,
    Plan,
    PoolLayer,
    ScaleLayer,
    TableLayer,
)
from deepdive.quantization.qconfig import QConfig
from deepdive.quantization.quantizers import Learning
from deepdive.quantization.ranges import RangeMethod
from deepdive.quantization.simulate import Simulated
from deepdive.quantization.trace import trace
from deepdive.quantization.window_modules import (
    QuantizedAvgPool,
    QuantizedConcat,
    QuantizedMaxPool,
    QuantizedPad,
    share_quantizers,
)

T = TypeVar("T")

FUSION_TOLERANCE = 1e-3
"""Fusing reorders float sums; what is larger than this share of the largest output is a mistake."""


class QuantizedModel(nn.Module):
    """The network as quantized layers; raw uint8 NHWC images in, real values out.

    In evaluation mode ``forward`` computes the codes of the contract, without a gradient, and returns them as real
    values. In training mode it simulates them in float with a gradient; scales are chosen from the first batch.
    """

    def __init__(self, plan: Plan, pixels: Pixels, bits: dict[str, Bits]) -> None:
        super().__init__()
        self.input_shape = plan.input_shape
        self.pixels = pixels
        self.layers = nn.ModuleList(make(layer, plan, pixels, bits[layer.name]) for layer in plan.layers)
        share_quantizers(self)
        *_, output = self
        output.output.method = RangeMethod("minmax")

    def __iter__(self) -> Iterator[QuantizedLayer]:
        """The layers in order of execution."""
        for layer in self.layers:
            assert isinstance(layer, QuantizedLayer)
            yield layer

    def convolutions(self) -> list[QuantizedConv]:
        """The layers with weights, in order of execution."""
        return [layer for layer in self if isinstance(layer, QuantizedConv)]

    def input_codes(self, images: Tensor) -> Codes:
        """uint8 (N, H, W, C) as centred codes on the input's grid."""
        self.check_images(images)
        zero = torch.tensor(self.pixels.zero_point, dtype=torch.float32, device=images.device)
        values = images.permute(0, 3, 1, 2).float() - zero[:, None, None]
        return Codes(values, Grid(torch.ones((), dtype=torch.float64, device=images.device), zero.double(), 0, 255))

    def check_images(self, images: Tensor) -> None:
        """Refuse what is not uint8 NHWC of the network's size."""
        channels, height, width = self.input_shape
        if images.dtype != torch.uint8 or images.dim() != 4 or tuple(images.shape[1:]) != (height, width, channels):
            raise DeepDiveError(
                f"Images are {str(images.dtype).removeprefix('torch.')}{tuple(images.shape)}; the network wants "
                f"uint8(batch, {height}, {width}, {channels}), raw pixels."
            )

    def codes(self, images: Tensor) -> dict[str, Codes]:
        """Every feature map by name."""
        start = self.input_codes(images)
        return {INPUT: start, **{layer.name: codes for layer, codes in self.steps(start, call)}}

    def real(self, images: Tensor) -> Tensor:
        """The float network on the same images: (N, classes), or (N, C, H, W)."""
        self.check_images(images)
        return squeeze(last(self.steps(images.permute(0, 3, 1, 2).float(), call_real)))

    def follow(self, learning: Learning) -> None:
        """Let scales be learned, or track ranges, while the network trains."""
        for layer in self:
            layer.output.follow(learning)
        for convolution in self.convolutions():
            convolution.weights.follow(learning)

    def check_fitted(self) -> None:
        """Refuse scales that were never chosen."""
        for layer in self:
            weights = layer.weights if isinstance(layer, QuantizedConv) else layer.output
            if not (int(layer.output.fitted) and int(weights.fitted)):
                raise DeepDiveError(f"'{layer.name}' has no scales yet; calibrate or train the network first.")

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (N, H, W, C) to real outputs, float32 (N, classes), or (N, C, H, W)."""
        start = self.input_codes(images)
        if self.training:
            return squeeze(last(self.steps(Simulated(*start), call_simulated)).values)
        with torch.no_grad():
            return squeeze(last(self.steps(start, call)).real().float())

    def steps(self, start: T, compute: Callable[[QuantizedLayer, list[T]], T]) -> Iterator[tuple[QuantizedLayer, T]]:
        """Run layer after layer on any kind of value; a value is forgotten once nobody reads it any more."""
        values, last = {INPUT: start}, self.last_readers()
        for layer in self:
            values[layer.name] = compute(layer, [values[name] for name in layer.inputs])
            yield layer, values[layer.name]
            for name in last[layer.name]:
                del values[name]

    def last_readers(self) -> dict[str, list[str]]:
        """By layer name, the values that nobody reads after it."""
        last = {name: layer.name for layer in self for name in layer.inputs}
        return {layer.name: [name for name, reader in last.items() if reader == layer.name] for layer in self}


def call(layer: QuantizedLayer, inputs: list[Codes]) -> Codes:
    """A step of the integer network."""
    result: Codes = layer(*inputs)
    return result


def call_simulated(layer: QuantizedLayer, inputs: list[Simulated]) -> Simulated:
    """A step of the integer network as training sees it."""
    return layer.simulate(*inputs)


def call_real(layer: QuantizedLayer, inputs: list[Tensor]) -> Tensor:
    """A step of the float network."""
    return layer.real(*inputs)


def last(steps: Iterator[tuple[QuantizedLayer, T]]) -> T:
    """What the last layer writes."""
    *_, (_, result) = steps
    return result


def squeeze(x: Tensor) -> Tensor:
    """(N, C, 1, 1) as (N, C)."""
    return x.flatten(1) if x.shape[2:] == (1, 1) else x


def make(layer: Layer, plan: Plan, pixels: Pixels, bits: Bits) -> QuantizedLayer:
    """The module of one layer."""
    if INPUT in layer.inputs and not isinstance(layer, ConvLayer):
        raise UnsupportedLayer(f"'{layer.name}' reads the raw pixels; only a Conv2d or Linear can, put one before it.")
    match layer:
        case ConvLayer():
            return QuantizedConv(layer, bits, pixels if INPUT in layer.inputs else None)
        case AddLayer():
            return QuantizedAdd(layer, bits)
        case PoolLayer():
            _, height, width = next(one.shape for one in plan.layers if one.name == layer.inputs[0])
            return QuantizedPool(layer, bits, height * width)
        case MaxPoolLayer():
            return QuantizedMaxPool(layer, bits)
        case AvgPoolLayer():
            return QuantizedAvgPool(layer, bits)
        case ConcatLayer():
            return QuantizedConcat(layer, bits)
        case PadLayer():
            return QuantizedPad(layer, bits)
        case ScaleLayer():
            return QuantizedScale(layer, bits)
        case TableLayer():
            return QuantizedTable(layer, bits)
    raise TypeError(type(layer).__name__)


def prepare(
    model: nn.Module,
    qconfig: QConfig,
    *,
    size: tuple[int, int],
    mean: Sequence[float] = (0.0, 0.0, 0.0),
    std: Sequence[float] = (1.0, 1.0, 1.0),
) -> QuantizedModel:
    """Quantized twin of a float network; `model` itself is not changed.

    Parameters
    ----------
    model
        Any `nn.Module` that `torch.fx` can trace, with one image batch (N, C, H, W) as input.
    qconfig
        Bit widths.
    size
        (height, width) of the input.
    mean, std
        The network was trained on ``(pixel - mean) / std``, pixels 0..255, one value a channel.

    Raises
    ------
    UnsupportedLayer
        Naming the module that has no integer form, or that cannot be traced.
    CheckFailed
        When the fused network does not compute what `model` computes.
    """
    pixels = check_pixels(mean, std)
    check_finite(model)
    input_shape = (len(pixels.mean), *size)
    original = copy.deepcopy(model).eval()
    plan = fuse(trace(original, input_shape), input_shape)
    quantized = QuantizedModel(plan, pixels, qconfig.assign(plan.layers))
    quantized.follow(qconfig.learning)
    check_fusion(original, quantized)
    return quantized.eval()


def check_pixels(mean: Sequence[float], std: Sequence[float]) -> Pixels:
    """Refuse a mean and std that cannot be in units of pixels."""
    if len(mean) != len(std) or not mean:
        raise DeepDiveError(f"mean has {len(mean)} values and std {len(std)}; give one of each a channel.")
    if min(std) < 1 or not all(0 <= one <= 255 for one in mean):
        raise DeepDiveError(
            f"mean {tuple(mean)} and std {tuple(std)} are not in pixels 0..255; multiply values for 0..1 by 255."
        )
    return Pixels(tuple(map(float, mean)), tuple(map(float, std)))


def check_finite(model: nn.Module) -> None:
    """Refuse weights that are NaN or infinite."""
    tensors: list[tuple[str, Any]] = [*model.named_parameters(), *model.named_buffers()]
    for name, tensor in tensors:
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise DeepDiveError(f"'{name}' holds NaN or infinity; load or train finite weights.")


@torch.no_grad()
def check_fusion(model: nn.Module, quantized: QuantizedModel) -> None:
    """The plan must compute what the network computes."""
    channels, height, width = quantized.input_shape
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, height, width, channels), generator=generator, dtype=torch.uint8)
    mean, std = (torch.tensor(values)[:, None, None] for values in (quantized.pixels.mean, quantized.pixels.std))
    wanted = model((images.permute(0, 3, 1, 2).float() - mean) / std)
    got = quantized.real(images)
    error = float((got.reshape(wanted.shape) - wanted).abs().max())
    if not error <= FUSION_TOLERANCE * max(float(wanted.abs().max()), 1e-6):
        raise CheckFailed(
            f"{type(model).__name__} as DeepDive reads it differs from its own forward by {error:g}; "
            "does forward draw random numbers in eval mode, or change feature maps in place?"
        )
