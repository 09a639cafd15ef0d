"""From a quantized module to a QNet, and the proof that both compute the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deepdive.errors import CheckFailed
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.graph import QNet
from deepdive.qnet.ops import (
    Add,
    AvgPool,
    ChannelScale,
    Concat,
    Conv,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Node,
    Pad,
    Requantize,
    Table,
)
from deepdive.qnet.preprocess import Preprocess
from deepdive.quantization.grid import Codes, Dyadic, Grid
from deepdive.quantization.modules import (
    QuantizedAdd,
    QuantizedConv,
    QuantizedLayer,
    QuantizedPool,
    QuantizedScale,
    QuantizedTable,
)
from deepdive.quantization.plan import INPUT
from deepdive.quantization.prepare import QuantizedModel
from deepdive.quantization.window_modules import QuantizedAvgPool, QuantizedConcat, QuantizedMaxPool, QuantizedPad


@dataclass(frozen=True)
class Facts:
    """What a QNet says beside its arithmetic: its name, how pictures become its input, its classes."""

    name: str = "network"
    preprocess: Preprocess | None = None
    labels: tuple[str, ...] = ()


@torch.no_grad()
def lower(model: QuantizedModel, images: Tensor, facts: Facts | None = None) -> QNet:
    """The integer network of `model`.

    Parameters
    ----------
    model
        Calibrated or trained.
    images
        uint8 (N, H, W, C): every feature map of the module and of the QNet's reference must be equal on them.

    Raises
    ------
    CheckFailed
        Naming the layer, the index and both values, when they are not.
    DeepDiveError
        When a layer has no scales yet.
    """
    facts = facts or Facts()
    model.check_fitted()
    training = model.training
    model.eval()
    try:
        channels, height, width = model.input_shape
        source = FeatureMap(INPUT, (height, width, channels), zero_point=model.pixels.zero_point)
        grids = {INPUT: model.input_codes(images[:1]).grid, **{layer.name: layer.output.grid for layer in model}}
        nodes = tuple(lower_layer(layer, [grids[name] for name in layer.inputs]) for layer in model)
        net = QNet(facts.name, source, nodes, facts.preprocess, facts.labels)
        check_equal(net, model, images)
    finally:
        model.train(training)
    return net


def lower_layer(layer: QuantizedLayer, grids: list[Grid]) -> Node:
    """The operator of one layer."""
    match layer:
        case QuantizedConv():
            return lower_conv(layer, grids[0])
        case QuantizedAdd():
            first, second = layer.factors(*grids)
            return Add(
                (layer.inputs[0], layer.inputs[1]),
                feature_map(layer),
                (int(first.mult), int(second.mult)),
                int(first.shift),
                *layer.clip_codes(),
            )
        case QuantizedPool():
            return GlobalAvgPool(layer.inputs[0], feature_map(layer), requantize(layer, layer.factor(grids[0])))
        case QuantizedMaxPool():
            return MaxPool(layer.inputs[0], feature_map(layer), layer.kernel, layer.stride, layer.padding)
        case QuantizedAvgPool():
            mean = requantize(layer, layer.factor(grids[0]))
            return AvgPool(layer.inputs[0], feature_map(layer), mean, layer.kernel, layer.stride, layer.padding)
        case QuantizedConcat():
            return Concat((layer.inputs[0], layer.inputs[1]), feature_map(layer))
        case QuantizedPad():
            return Pad(layer.inputs[0], feature_map(layer), layer.padding)
        case QuantizedScale():
            how = requantize(layer, layer.factor(*grids))
            return ChannelScale((layer.inputs[0], layer.inputs[1]), feature_map(layer), how)
        case QuantizedTable():
            values = layer.table(grids[0]) + layer.output.grid.zero_point
            return Table(layer.inputs[0], feature_map(layer), values.numpy(force=True).astype(np.uint8))
    raise TypeError(type(layer).__name__)


def lower_conv(layer: QuantizedConv, grid: Grid) -> Conv | Linear:
    """Convolution or linear layer."""
    integers = layer.integers(grid)
    weight = integers.weight.numpy(force=True).transpose(0, 2, 3, 1).astype(np.int8)
    bias = integers.bias.numpy(force=True).astype(np.int32)
    zero = np.zeros(len(weight), dtype=np.int16)
    output, how, bits = feature_map(layer), requantize(layer, integers.factor), layer.weights.bits
    if layer.is_linear:
        return Linear(layer.inputs[0], output, weight[:, 0, 0], bits, bias, how, zero)
    return Conv(layer.inputs[0], output, weight, bits, bias, how, zero, layer.stride, layer.padding, layer.groups)


def feature_map(layer: QuantizedLayer) -> FeatureMap:
    """The type of a layer's output."""
    channels, height, width = layer.shape
    grid = layer.output.grid
    return FeatureMap(
        layer.name,
        (height, width, channels),
        bits=layer.output.bits,
        scale=float(grid.scale),
        zero_point=int(grid.zero_point),
    )


def requantize(layer: QuantizedLayer, factor: Dyadic) -> Requantize:
    """The factor and the clip as the QNet holds them."""
    mult = np.atleast_1d(factor.mult.numpy(force=True)).astype(np.uint16)
    shift = np.atleast_1d(factor.shift.numpy(force=True)).astype(np.uint8)
    return Requantize(mult, shift, *layer.clip_codes())


def as_array(codes: Codes) -> np.ndarray:
    """Centred NCHW codes as the QNet's uint8 NHWC codes."""
    values = codes.values.double() + codes.grid.zero_point[:, None, None]
    return values.permute(0, 2, 3, 1).numpy(force=True).astype(np.uint8)


def check_equal(net: QNet, model: QuantizedModel, images: Tensor) -> None:
    """Every element of every feature map."""
    wanted = net.run(images.numpy(force=True), every=True)
    assert isinstance(wanted, dict)
    for name, codes in model.codes(images).items():
        got, expected = as_array(codes), wanted[name]
        if not np.array_equal(got, expected):
            index = tuple(int(i) for i in np.argwhere(got != expected)[0])
            raise CheckFailed(
                f"'{name}' differs at {index}: the quantized module gives {got[index]}, "
                f"the integer network {expected[index]}; please report this."
            )
