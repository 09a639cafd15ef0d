"""Layers with weights, and what may be folded into them."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepdive.errors import DeepDiveError, UnsupportedLayer
from deepdive.qnet.importers.layers import bias, window
from deepdive.qnet.importers.onnx_source import SourceNode
from deepdive.qnet.importers.values import Raw
from deepdive.qnet.ops.window import window_output
from deepdive.quantization.from_onnx.network import Builder, handler, parameter


@handler("Conv")
def conv(builder: Builder, node: SourceNode) -> None:
    channels, height, width = builder.spatial(node)
    weight = builder.const(node, 1, "weight")
    if weight.ndim != 4:
        raise UnsupportedLayer(f"its weight has {weight.ndim} dimensions; only two-dimensional convolutions go in")
    kernel = (weight.shape[2], weight.shape[3])
    stride, padding = window(node, (height, width), kernel)
    groups = node.integer("group", 1)
    if groups < 1 or weight.shape[1] * groups != channels or weight.shape[0] % groups:
        raise DeepDiveError(f"its weight {weight.shape} with {groups} groups does not fit {channels} channels")
    top, left, bottom, right = padding
    shape = (height, width, channels)
    if max(top, bottom) >= kernel[0] or max(left, right) >= kernel[1]:
        raise UnsupportedLayer(f"it pads by {padding}, as much as its kernel {kernel}; pad by less than the kernel")
    size = window_output(node.outputs[0], shape, kernel, stride, padding)
    alike = (top, left) == (bottom, right)
    own = (top, left) if alike else (0, 0)
    layer = new_conv(weight, offsets(builder, node, len(weight)), stride, own, groups)
    builder.check(dims := (len(weight), *size), weight.size * math.prod(size))
    reads = builder.maps(node)
    if not alike:
        framed = f"{node.outputs[0]}\npadded"  # no name in a file holds a line break
        builder.step(node, nn.ZeroPad2d((left, right, top, bottom)), reads, framed)
        reads = (framed,)
    builder.step(node, layer, reads, node.outputs[0])
    builder.values[node.outputs[0]] = Raw(dims)


def new_conv(
    weight: np.ndarray, offset: np.ndarray, stride: tuple[int, int], padding: tuple[int, int], groups: int
) -> nn.Conv2d:
    """A convolution with given numbers; nothing is drawn, and no memory taken, before."""
    out_channels, per_group = weight.shape[:2]
    kernel = (weight.shape[2], weight.shape[3])
    layer = nn.Conv2d(per_group * groups, out_channels, kernel, stride, padding, groups=groups, device="meta")
    layer.weight, layer.bias = parameter(weight), parameter(offset)
    return layer


def offsets(builder: Builder, node: SourceNode, channels: int) -> np.ndarray:
    """The bias, zeros where there is none."""
    if builder.has(node, 2):
        builder.const(node, 2, "bias")
    return bias(builder.context, builder.arguments(node), 2, channels)


@handler("Gemm")
def gemm(builder: Builder, node: SourceNode) -> None:
    if node.integer("transA", 0):
        raise UnsupportedLayer("transA is not imported")
    weight = builder.const(node, 1, "weight")
    if weight.ndim != 2:
        raise DeepDiveError(f"its weight has {weight.ndim} dimensions; want 2")
    weight = weight if node.integer("transB", 0) else weight.T
    alpha, beta = (node.real(name, 1.0) for name in ("alpha", "beta"))
    linear(builder, node, weight * alpha, offsets(builder, node, len(weight)) * beta)


@handler("MatMul")
def matmul(builder: Builder, node: SourceNode) -> None:
    weight = builder.const(node, 1, "weight")
    if weight.ndim != 2:
        raise UnsupportedLayer(f"its weight has {weight.ndim} dimensions; want 2")
    linear(builder, node, weight.T, np.zeros(weight.shape[1]))


def linear(builder: Builder, node: SourceNode, weight: np.ndarray, offset: np.ndarray) -> None:
    """A vector times weights (out, in)."""
    dims = builder.map(node)
    if dims != (weight.shape[1],):
        raise UnsupportedLayer(f"it multiplies {dims} by {weight.shape}; flatten to (batch, features) first")
    layer = nn.Linear(weight.shape[1], len(weight), device="meta")
    layer.weight, layer.bias = parameter(weight), parameter(offset)
    builder.call(node, layer, (len(weight),), weight.size)


@handler("BatchNormalization")
def batch_normalization(builder: Builder, node: SourceNode) -> None:
    dims = builder.map(node)
    gamma, beta, mean, variance = (
        builder.const(node, index, what).astype(np.float64).reshape(-1)
        for index, what in enumerate(("scale", "bias", "mean", "variance"), start=1)
    )
    if {part.shape for part in (gamma, beta, mean, variance)} != {(dims[0],)}:
        raise DeepDiveError(f"its parameters do not have one value for each of {dims[0]} channels")
    epsilon = node.real("epsilon", 1e-5)
    if not (variance + epsilon > 0).all():
        raise DeepDiveError("its variance is negative or no number")
    if not isinstance(builder.sole_writer(node.inputs[0]), nn.Conv2d | nn.Linear):
        gain = gamma / np.sqrt(variance + epsilon)
        affine(builder, node, gain, beta - mean * gain)
        return
    norm = (nn.BatchNorm2d if len(dims) == 3 else nn.BatchNorm1d)(dims[0], epsilon, device="meta")
    norm.weight, norm.bias = parameter(gamma), parameter(beta)
    norm.running_mean, norm.running_var = parameter(mean).data, parameter(variance).data
    norm.num_batches_tracked = torch.zeros((), dtype=torch.long)
    builder.call(node, norm, dims)


def affine(builder: Builder, node: SourceNode, gain: np.ndarray, offset: np.ndarray, index: int = 0) -> None:
    """``gain * x + offset``, one number a channel or of shape (1,).

    It is folded into the layer before it, or into what is done to the pixels; else it becomes a depthwise 1x1
    convolution, or, for one number, a function of the value.
    """
    read, dims = node.inputs[index], builder.map(node, index)
    layer = builder.sole_writer(read)
    if builder.tensor(read) == builder.input and builder.readers[read] == 1 and (gain > 0).all():
        builder.gain, builder.offset = builder.gain * gain, builder.offset * gain + offset
        alias(builder, node, index)
    elif layer is not None:
        assert isinstance(layer.weight, Tensor)
        assert isinstance(layer.bias, Tensor)
        factor = torch.from_numpy(np.broadcast_to(gain, len(layer.weight)).copy())
        weight = layer.weight.double() * factor.reshape(-1, *[1] * (layer.weight.dim() - 1))
        layer.weight = nn.Parameter(weight.float().detach())
        layer.bias = nn.Parameter((layer.bias.double() * factor + torch.from_numpy(offset)).float().detach())
        alias(builder, node, index)
    elif gain.size == offset.size == 1:
        numbers = float(gain[0]), float(offset[0])
        builder.call(node, lambda x: x * numbers[0] + numbers[1], dims)
    elif len(dims) == 3:
        channels = dims[0]
        weight_array = np.broadcast_to(gain, channels).reshape(channels, 1, 1, 1)
        depthwise = new_conv(weight_array, np.broadcast_to(offset, channels), (1, 1), (0, 0), channels)
        builder.call(node, depthwise, dims, math.prod(dims))
    else:
        raise UnsupportedLayer("it scales the values of a vector one by one; do it right behind a layer with weights")


def alias(builder: Builder, node: SourceNode, index: int) -> None:
    """The node's output is input number `index`, changed in place."""
    read, written = node.inputs[index], node.outputs[0]
    builder.aliases[written] = builder.tensor(read)
    builder.values[written] = builder.values[read]


@handler("PRelu")
def prelu(builder: Builder, node: SourceNode) -> None:
    slope = builder.const(node, 1, "slope").astype(np.float64).reshape(-1)
    if (slope != slope[0]).any():
        raise UnsupportedLayer("it has one slope a channel; use one for all, or a ReLU")
    builder.call(node, lambda x: F.leaky_relu(x, float(slope[0])), builder.map(node))
