"""Activations and arithmetic of float graphs."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepdive.errors import DeepDiveError, UnsupportedLayer
from deepdive.qnet.importers.elementwise import clip_bounds
from deepdive.qnet.importers.onnx_source import SourceNode
from deepdive.qnet.importers.values import Const
from deepdive.quantization.from_onnx.layers import affine
from deepdive.quantization.from_onnx.network import Builder, handler, scalar, unary

SIMPLE: dict[str, Callable[[Tensor], Tensor]] = {
    "Sigmoid": torch.sigmoid,
    "Tanh": torch.tanh,
    "HardSwish": F.hardswish,
    "Softplus": F.softplus,
    "Mish": F.mish,
    "Neg": torch.neg,
    "Abs": torch.abs,
    "Exp": torch.exp,
    "Sqrt": torch.sqrt,
    "Erf": torch.erf,
}


@handler(*SIMPLE)
def simple(builder: Builder, node: SourceNode) -> None:
    unary(builder, node, SIMPLE[node.op_type])


@handler("HardSigmoid")
def hard_sigmoid(builder: Builder, node: SourceNode) -> None:
    alpha, beta = node.real("alpha", 0.2), node.real("beta", 0.5)
    if np.float32(alpha) == np.float32(1 / 6) and beta == 0.5:
        unary(builder, node, F.hardsigmoid)
    else:
        unary(builder, node, lambda x: torch.clamp(x * alpha + beta, 0.0, 1.0))


@handler("LeakyRelu")
def leaky_relu(builder: Builder, node: SourceNode) -> None:
    alpha = node.real("alpha", 0.01)
    unary(builder, node, lambda x: F.leaky_relu(x, alpha))


@handler("Elu")
def elu(builder: Builder, node: SourceNode) -> None:
    alpha = node.real("alpha", 1.0)
    unary(builder, node, lambda x: F.elu(x, alpha))


@handler("Gelu")
def gelu(builder: Builder, node: SourceNode) -> None:
    approximate = node.text("approximate", "none")
    if approximate not in ("none", "tanh"):
        raise DeepDiveError(f"its approximation '{approximate[:40]}' is unknown")
    unary(builder, node, lambda x: F.gelu(x, approximate=approximate))


@handler("Swish")
def swish(builder: Builder, node: SourceNode) -> None:
    alpha = node.real("alpha", 1.0)
    unary(builder, node, F.silu if alpha == 1 else lambda x: x * torch.sigmoid(x * alpha))


@handler("Relu", "Clip")
def clip(builder: Builder, node: SourceNode) -> None:
    low, high = (0.0, math.inf)
    if node.op_type == "Clip":
        low, high = clip_bounds(builder.context, node, builder.arguments(node))
    clamp(builder, node, low, high)


def clamp(builder: Builder, node: SourceNode, low: float, high: float) -> None:
    """``min(max(x, low), high)``."""
    if math.isnan(low) or math.isnan(high) or low > high or low == math.inf or high == -math.inf:
        raise DeepDiveError(f"it clips to {low}..{high}")
    module: nn.Module | Callable[[Tensor], Tensor] = lambda x: torch.clamp(x, low, high)  # noqa: E731
    if (low, high) == (0.0, math.inf):
        module = nn.ReLU()
    elif (low, high) == (0.0, 6.0):
        module = nn.ReLU6()
    builder.call(node, module, builder.map(node))


@handler("Max", "Min")
def bound(builder: Builder, node: SourceNode) -> None:
    """Of a map and one number."""
    numbers = [scalar(value.values) for value in builder.arguments(node) if isinstance(value, Const)]
    if len(node.inputs) != 2 or len(numbers) != 1 or numbers[0] is None or builder.values[node.inputs[0]] is None:
        raise UnsupportedLayer("only a map and one number are compared")
    if isinstance(builder.values[node.inputs[0]], Const):
        raise UnsupportedLayer("its number comes first; put the map first")
    at = float(numbers[0])
    clamp(builder, node, *((at, math.inf) if node.op_type == "Max" else (-math.inf, at)))


@handler("Add", "Sub", "Mul", "Div", "Sum")
def arithmetic(builder: Builder, node: SourceNode) -> None:
    if node.op_type == "Sum" and len(node.inputs) == 1:
        builder.alias(node)
        return
    if len(node.inputs) != 2 or not all(node.inputs):
        raise UnsupportedLayer(f"it has {len(node.inputs)} inputs; combine two at a time")
    first, second = (isinstance(value, Const) for value in builder.arguments(node))
    if first or second:
        with_constant(builder, node, 1 if first else 0)
    else:
        of_maps(builder, node)


def with_constant(builder: Builder, node: SourceNode, index: int) -> None:
    """A map (input number `index`) and known numbers: one, or one a channel."""
    numbers, dims = builder.const(node, 1 - index, "constant").astype(np.float64), builder.map(node, index)
    one = scalar(numbers)
    if node.op_type == "Div" and index == 1:
        if one is None:
            raise UnsupportedLayer("it divides a constant a channel by a map")
        builder.call(node, lambda x: one / x, dims)
        return
    if one is None:
        shape = (1, -1, 1, 1)[: numbers.ndim] if numbers.ndim > len(dims) else (-1, *[1] * (len(dims) - 1))
        if numbers.size != dims[0] or np.reshape(numbers, shape).shape != numbers.shape:
            raise UnsupportedLayer(f"its constant {numbers.shape} is neither one number nor one a channel of {dims}")
    numbers = numbers.reshape(-1)
    if node.op_type == "Div" and not numbers.all():
        raise DeepDiveError("it divides by zero")
    unit, nothing = np.ones(1), np.zeros(1)
    if node.op_type in ("Add", "Sum"):
        affine(builder, node, unit, numbers, index)
    elif node.op_type == "Sub":
        affine(builder, node, *((-unit, numbers) if index else (unit, -numbers)), index)
    else:
        affine(builder, node, numbers if node.op_type == "Mul" else 1 / numbers, nothing, index)


def of_maps(builder: Builder, node: SourceNode) -> None:
    """Two maps: a residual add, a squeeze-excite, or a map times a function of it."""
    a, b = builder.map(node, 0), builder.map(node, 1)
    if node.op_type in ("Add", "Sum") and a == b:
        builder.call(node, operator.add, a)
        return
    shapes = sorted((a, b), key=math.prod, reverse=True)
    scales = len(a) == len(b) and shapes[1] in (shapes[0], (shapes[0][0], *[1] * (len(a) - 1)))
    if node.op_type == "Mul" and scales:
        builder.call(node, operator.mul, shapes[0])
        return
    raise UnsupportedLayer(f"of maps {a} and {b} it is not imported; maps of one shape are added, channels are scaled")


@handler("Identity", "Dropout")
def identity(builder: Builder, node: SourceNode) -> None:
    builder.alias(node)


@handler("Cast")
def cast(builder: Builder, node: SourceNode) -> None:
    if node.integer("to", 0) not in (1, 11):
        raise UnsupportedLayer("it changes a map to a type that is not imported; leave it float32")
    builder.alias(node)
