"""Pooling, padding, concatenation and reshaping in float graphs."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepdive.errors import DeepDiveError, UnsupportedLayer
from deepdive.qnet.importers.elementwise import wanted_dims
from deepdive.qnet.importers.layers import axes_of, pair, window
from deepdive.qnet.importers.onnx_source import SourceNode
from deepdive.qnet.ops.window import window_output
from deepdive.quantization.from_onnx.network import Builder, handler

MAX_PAD = 4096


@handler("MaxPool")
def max_pool(builder: Builder, node: SourceNode) -> None:
    if len(node.outputs) > 1:
        raise UnsupportedLayer("its indices are not imported")
    channels, height, width = builder.spatial(node)
    kernel = pair(node.integers("kernel_shape"), "kernel")
    stride, padding = window(node, (height, width), kernel, may_grow=True)
    size = window_output(node.outputs[0], (height, width, channels), kernel, stride, padding)
    top, left, bottom, right = padding

    def pool(x: Tensor) -> Tensor:
        if any(padding):
            x = F.pad(x, (left, right, top, bottom), value=-math.inf)
        return F.max_pool2d(x, kernel, stride)

    builder.call(node, pool, (channels, *size))


@handler("AveragePool")
def average_pool(builder: Builder, node: SourceNode) -> None:
    channels, height, width = builder.spatial(node)
    kernel = pair(node.integers("kernel_shape"), "kernel")
    counts = bool(node.integer("count_include_pad", 0))
    stride, padding = window(node, (height, width), kernel, may_grow=not counts)
    size = window_output(node.outputs[0], (height, width, channels), kernel, stride, padding)
    top, left, bottom, right = padding
    if counts or not any(padding):

        def pool(x: Tensor) -> Tensor:
            if any(padding):
                x = F.pad(x, (left, right, top, bottom))
            return F.avg_pool2d(x, kernel, stride)

        builder.call(node, pool, (channels, *size))
        return
    if top > kernel[0] // 2 or left > kernel[1] // 2:
        raise UnsupportedLayer(f"it pads by {padding}, more than half its kernel {kernel}; pad by less")
    reached = [
        -(-(extent + 2 * pad - taps) // by) + 1
        for extent, pad, taps, by in zip((height, width), (top, left), kernel, stride, strict=True)
    ]
    plain = (top, left) == (bottom, right)
    if not plain and tuple(reached) != size:
        raise UnsupportedLayer(f"it pads by {padding} and leaves padding out of its means; pad both sides alike")
    layer = nn.AvgPool2d(kernel, stride, (top, left), ceil_mode=not plain, count_include_pad=False)
    builder.call(node, layer, (channels, *size))


@handler("GlobalAveragePool")
def global_average_pool(builder: Builder, node: SourceNode) -> None:
    builder.call(node, nn.AdaptiveAvgPool2d(1), (builder.spatial(node)[0], 1, 1))


@handler("GlobalMaxPool")
def global_max_pool(builder: Builder, node: SourceNode) -> None:
    builder.call(node, nn.AdaptiveMaxPool2d(1), (builder.spatial(node)[0], 1, 1))


@handler("ReduceMean")
def reduce_mean(builder: Builder, node: SourceNode) -> None:
    axes = axes_of(builder.context, node, builder.arguments(node))
    channels, *_ = builder.spatial(node)
    if sorted(axis % 4 for axis in axes) != [2, 3]:
        raise UnsupportedLayer(f"it takes the mean over axes {axes[:8]}; only height and width together go in")
    keep = bool(node.integer("keepdims", 1))
    builder.call(node, lambda x: x.mean((2, 3), keepdim=keep), (channels, 1, 1) if keep else (channels,))


@handler("Concat")
def concat(builder: Builder, node: SourceNode) -> None:
    parts = [builder.map(node, index) for index in range(len(node.inputs))]
    dims = parts[0]
    if node.integer("axis", 1) not in (1, -len(dims)) or any(part[1:] != dims[1:] for part in parts):
        raise UnsupportedLayer("only channels of maps of one height and width are joined")
    if len(parts) > 256:
        raise UnsupportedLayer("it joins more than 256 maps")
    builder.call(node, lambda *maps: torch.cat(maps, 1), (sum(part[0] for part in parts), *dims[1:]))


@handler("Pad")
def pad(builder: Builder, node: SourceNode) -> None:
    channels, height, width = builder.spatial(node)
    if node.text("mode", "constant") != "constant":
        raise UnsupportedLayer("it pads with something else than a constant; pad with zeros")
    pads = node.integers("pads")
    if pads is None:
        pads = builder.context.const(builder.arguments(node), 1, "pads").integers("pads")
    fill = node.real("value", 0.0) if "value" in node.attributes else 0.0
    if builder.has(node, 2):
        fill = builder.context.const(builder.arguments(node), 2, "value").scalar("value")
    if fill not in (0.0, -math.inf):
        raise UnsupportedLayer("it pads with another number than zero")
    if builder.has(node, 3):
        raise UnsupportedLayer("its axes are not imported; give pads for all of them")
    if len(pads) != 8 or any(pads[i] for i in (0, 1, 4, 5)) or any(not 0 <= one <= MAX_PAD for one in pads):
        raise UnsupportedLayer(f"its pads {pads[:8]} are not those of height and width")
    top, left, bottom, right = (pads[i] for i in (2, 3, 6, 7))
    dims = (channels, height + top + bottom, width + left + right)
    builder.call(node, lambda x: F.pad(x, (left, right, top, bottom), value=fill), dims)


@handler("Flatten", "Reshape", "Squeeze", "Unsqueeze")
def reshape(builder: Builder, node: SourceNode) -> None:
    before = builder.map(node)
    after = wanted_dims(builder.context, node, before, builder.arguments(node))
    if after == before:
        builder.alias(node)
        return
    pixels = before[1:] in ((), (1, 1)) and after in ((before[0],), (before[0], 1, 1))
    if not pixels and len(after) != 1:
        raise UnsupportedLayer(f"it makes {after} of {before}; only flattening to a vector goes in")
    builder.call(node, lambda x: x.reshape(-1, *after), after)


@handler("Transpose")
def transpose(builder: Builder, node: SourceNode) -> None:
    dims, perm = builder.map(node), node.integers("perm")
    if perm is None or sorted(perm) != list(range(len(dims) + 1)):
        raise DeepDiveError(f"its axes {(perm or [])[:8]} do not fit a map {dims}")
    moved = [axis for axis in perm if axis and dims[axis - 1] != 1]
    after = tuple(dims[axis - 1] for axis in perm if axis)
    if perm[0] != 0 or moved != sorted(moved) or (after != dims and after[1:] != dims[1:]):
        raise UnsupportedLayer("feature maps are not transposed; export the network with channels first (NCHW)")
    builder.alias(node)
