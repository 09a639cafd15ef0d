"""Rules for layers with weights, the batch norm behind them and the zero padding before them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from deepdive.quantization.fuser import Fuser, Value, argument, pair
from deepdive.quantization.plan import ConvLayer


def conv_module(fuser: Fuser, node: fx.Node) -> None:
    module = fuser.module(node)
    if module.padding_mode != "zeros":
        raise fuser.refuse(node, f"pads with '{module.padding_mode}'; use padding_mode='zeros'")
    conv(fuser, node, module.weight, module.bias, (module.stride, module.padding, module.dilation, module.groups))


def conv_function(fuser: Fuser, node: fx.Node) -> None:
    weight, bias = fuser.constant(argument(node, 1, "weight")), fuser.constant(argument(node, 2, "bias"))
    if not isinstance(weight, Tensor):
        raise fuser.refuse(node, "has a computed weight; use a parameter as the weight")
    settings = tuple(
        argument(node, index, name, default)
        for index, name, default in ((3, "stride", 1), (4, "padding", 0), (5, "dilation", 1), (6, "groups", 1))
    )
    conv(fuser, node, weight, bias, settings)


def conv(fuser: Fuser, node: fx.Node, weight: Tensor, bias: Tensor | None, settings: tuple[Any, ...]) -> None:
    """`settings` are stride, padding, dilation, groups, as torch takes them."""
    stride, padding, dilation, groups = settings
    if pair(dilation) != (1, 1):
        raise fuser.refuse(node, f"has dilation {pair(dilation)}; use dilation 1 and a larger kernel")
    source: Any = node.args[0]
    if not fuser.is_map(source):
        raise fuser.refuse(node, "convolves something that is no feature map")
    kernel = (weight.shape[2], weight.shape[3])
    value = spendable(fuser, node, source, kernel)
    top, left, bottom, right = conv_padding(padding, kernel)
    pads = tuple(a + b for a, b in zip(value.padding, (top, left, bottom, right), strict=True))
    if max(pads[0], pads[2]) >= kernel[0] or max(pads[1], pads[3]) >= kernel[1]:
        raise fuser.refuse(node, f"pads by {pads}, as much as its kernel {kernel}; pad by less than the kernel")
    layer = ConvLayer(
        name=fuser.name(node),
        inputs=[value.layer],
        shape=fuser.output_shape(node),
        weight=weight,
        bias=bias,
        stride=pair(stride),
        padding=(pads[0], pads[1], pads[2], pads[3]),
        groups=groups,
    )
    fuser.add(node, layer)


def spendable(fuser: Fuser, node: fx.Node, source: fx.Node, kernel: tuple[int, int]) -> Value:
    """What a convolution reads, with the zeros around it that it can take as its own padding."""
    value = fuser.values[source]
    top, left, bottom, right = value.padding
    if value.averaged or value.fill != 0 or max(top, bottom) >= kernel[0] or max(left, right) >= kernel[1]:
        return fuser.value(node, source)
    return value


def conv_padding(padding: int | tuple[int, ...] | str, kernel: tuple[int, int]) -> tuple[int, int, int, int]:
    """torch's `padding` as (top, left, bottom, right)."""
    if padding == "valid":
        return (0, 0, 0, 0)
    if padding == "same":  # torch allows it at stride 1 alone
        vertical, horizontal = kernel[0] - 1, kernel[1] - 1
        return (vertical // 2, horizontal // 2, vertical - vertical // 2, horizontal - horizontal // 2)
    assert not isinstance(padding, str)
    vertical, horizontal = pair(padding)
    return (vertical, horizontal, vertical, horizontal)


def linear_module(fuser: Fuser, node: fx.Node) -> None:
    module = fuser.module(node)
    linear(fuser, node, module.weight, module.bias)


def linear_function(fuser: Fuser, node: fx.Node) -> None:
    weight, bias = fuser.constant(argument(node, 1, "weight")), fuser.constant(argument(node, 2, "bias"))
    linear(fuser, node, weight, bias)


def linear(fuser: Fuser, node: fx.Node, weight: Tensor, bias: Tensor | None) -> None:
    """On a vector: linear; on a flattened map: a convolution whose kernel is the whole map."""
    value = fuser.value(node, node.args[0])
    channels, height, width = fuser.shape(value.layer)
    if weight.shape[1] != channels * height * width:
        raise fuser.refuse(node, f"reads the last axis of a map {(channels, height, width)}; flatten it first")
    layer = ConvLayer(
        name=fuser.name(node),
        inputs=[value.layer],
        shape=fuser.output_shape(node),
        weight=weight.reshape(len(weight), channels, height, width),
        bias=bias,
        is_linear=height * width == 1,
    )
    fuser.add(node, layer)


def norm_module(fuser: Fuser, node: fx.Node) -> None:
    norm = fuser.module(node)
    if norm.running_mean is None or norm.running_var is None:
        raise fuser.refuse(node, "keeps no running statistics; use track_running_stats=True")
    momentum_eps = (norm.momentum, norm.eps)
    join_norm(fuser, node, as_batch_norm(norm.running_mean, norm.running_var, norm.weight, norm.bias, momentum_eps))


def norm_function(fuser: Fuser, node: fx.Node) -> None:
    mean, variance = fuser.constant(argument(node, 1, "running_mean")), fuser.constant(argument(node, 2, "running_var"))
    weight, bias = fuser.constant(argument(node, 3, "weight")), fuser.constant(argument(node, 4, "bias"))
    if mean is None or variance is None or argument(node, 5, "training", False):
        raise fuser.refuse(node, "keeps no running statistics; use running_mean and running_var with training=False")
    settings = (argument(node, 6, "momentum", 0.1), argument(node, 7, "eps", 1e-5))
    join_norm(fuser, node, as_batch_norm(mean, variance, weight, bias, settings))


def join_norm(fuser: Fuser, node: fx.Node, norm: nn.BatchNorm2d) -> None:
    """Batch norm joins the convolution right before it."""
    value, layer = fuser.value(node, node.args[0]), fuser.sole_layer(node.args[0])
    if not isinstance(layer, ConvLayer) or layer.norm is not None or layer.clip is not None:
        raise fuser.refuse(node, "does not follow a Conv2d or Linear directly; put it right behind one")
    layer.norm = norm
    fuser.alias(node, value)


def pad_module(fuser: Fuser, node: fx.Node) -> None:
    module = fuser.module(node)
    pad(fuser, node, module.padding, getattr(module, "value", 0.0))


def pad_function(fuser: Fuser, node: fx.Node) -> None:
    mode = argument(node, 2, "mode", "constant")
    if mode != "constant":
        raise fuser.refuse(node, f"pads with '{mode}'; pad with zeros")
    pad(fuser, node, argument(node, 1, "pad"), argument(node, 3, "value", None) or 0.0)


def pad(fuser: Fuser, node: fx.Node, amounts: tuple[int, ...], fill: float) -> None:
    """Zeros that the next convolution spends; `amounts` are (left, right, top, bottom), as torch orders them."""
    if fill not in (0, float("-inf")):
        raise fuser.refuse(node, f"pads with {fill}; pad with zeros")
    left, right, top, bottom = (*amounts, 0, 0)[:4] if len(amounts) == 2 else amounts
    if min(left, right, top, bottom) < 0:
        raise fuser.refuse(node, "pads by a negative number, which crops; use a stride or a smaller input")
    source = node.all_input_nodes[0]
    value = fuser.values[source]
    if any(value.padding) and value.fill != fill:
        value = fuser.value(node, source)
    old = value.padding
    fuser.alias(node, Value(value.layer, (old[0] + top, old[1] + left, old[2] + bottom, old[3] + right), fill))


def as_batch_norm(
    mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, settings: tuple[float | None, float]
) -> nn.BatchNorm2d:
    """A module for `F.batch_norm`; `settings` are momentum and epsilon."""
    norm = nn.BatchNorm2d(len(mean), momentum=settings[0], eps=settings[1], affine=weight is not None)
    with torch.no_grad():
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        if weight is not None:
            norm.weight.copy_(weight)
            norm.bias.copy_(bias if bias is not None else torch.zeros_like(mean))
    return norm.eval()
