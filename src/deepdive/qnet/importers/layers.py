"""Foreign layers with weights or windows: convolutions, matrix products, batch norms, pools."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from deepdive.errors import DeepDiveError, UnsupportedLayer
from deepdive.qnet.feature_map import MAX_ELEMENTS, FeatureMap
from deepdive.qnet.importers.context import Context, handler
from deepdive.qnet.importers.onnx_source import SourceNode
from deepdive.qnet.importers.values import (
    Affine,
    Const,
    Dims,
    Function,
    Pool,
    Sum,
    Value,
    Weights,
    function_of,
    meaning,
)
from deepdive.qnet.ops import MaxPool
from deepdive.qnet.ops.window import window_output

MAX_WINDOW = 1 << 12
MAX_TAPS = 1 << 12


def codes_of(value: Value, what: str = "input") -> tuple[FeatureMap, Function]:
    """The map behind a value that is nothing but its codes' meaning."""
    if not isinstance(value, Function) or value.map is None:
        raise UnsupportedLayer(f"its {what} is not quantized; quantize what it reads")
    return value.map, value


def weights_of(const: Const) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes (out, ...), zero points int16 (out,) and scales (out,) of quantized weights, one a channel of axis 0."""
    if const.codes is None or const.scale is None or const.zero_point is None:
        raise UnsupportedLayer("its weights are not quantized to 8 bits or fewer")
    if const.codes.ndim < 2 or not const.codes.size:
        raise DeepDiveError(f"its weight has shape {const.dims}; want (out, in, ...)")
    numbers = []
    for part in (const.scale, const.zero_point):
        rows = part.reshape(part.shape[0], -1)
        if (rows != rows[:, :1]).any():
            raise UnsupportedLayer("its weights have scales that differ within an output channel")
        numbers.append(rows[:, 0])
    return const.codes, numbers[1].astype(np.int16), numbers[0].astype(np.float64)


def window(
    node: SourceNode, size: Dims, kernel: tuple[int, int], *, may_grow: bool = False
) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """Stride and padding (top, left, bottom, right) of a window over a map of `size` = (height, width).

    `may_grow`: more padding at the bottom and right changes no value, so it may stand for ceil_mode.
    """
    if math.prod(kernel) > MAX_TAPS:
        raise UnsupportedLayer(f"its window {kernel} has more than {MAX_TAPS} taps; average in steps")
    strides = pair(node.integers("strides", [1, 1]), "strides")
    if node.integers("dilations", [1, 1]) != [1, 1]:
        raise UnsupportedLayer("its window is dilated; use a dense one")
    how = node.text("auto_pad", "NOTSET")
    pads = node.integers("pads") or [0, 0, 0, 0]
    if len(pads) != 4 or any(not 0 <= pad <= MAX_WINDOW for pad in pads):
        raise DeepDiveError(f"its pads {pads[:8]} are not four numbers of 0 to {MAX_WINDOW}")
    if how in ("SAME_UPPER", "SAME_LOWER"):
        totals = [max((-(-size[i] // strides[i]) - 1) * strides[i] + kernel[i] - size[i], 0) for i in (0, 1)]
        less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
        pads = [*less, *more] if how == "SAME_UPPER" else [*more, *less]
    elif how == "VALID":
        pads = [0, 0, 0, 0]
    elif how != "NOTSET":
        raise DeepDiveError(f"auto_pad '{how[:40]}' is unknown")
    if node.integer("ceil_mode", 0):
        for i in (0, 1):
            rest = (size[i] + pads[i] + pads[i + 2] - kernel[i]) % strides[i]
            if rest and not may_grow:
                raise UnsupportedLayer("ceil_mode adds a window that leaves the map; pad the map instead")
            # A last window that would begin in the padding is none.
            if rest and pads[i + 2] + strides[i] - rest < kernel[i]:
                pads = [*pads[: i + 2], pads[i + 2] + strides[i] - rest, *pads[i + 3 :]]
    return strides, (pads[0], pads[1], pads[2], pads[3])


def pair(numbers: list[int] | None, what: str) -> tuple[int, int]:
    """Two numbers of a window."""
    if numbers is None or len(numbers) != 2 or any(not 1 <= n <= MAX_WINDOW for n in numbers):
        raise UnsupportedLayer(f"its {what} are not two numbers of 1 to {MAX_WINDOW}; only two-dimensional maps go in")
    return numbers[0], numbers[1]


def spatial(value: Value) -> Dims:
    """(channels, height, width) of a map."""
    if len(value.dims) != 3:
        raise DeepDiveError(f"it wants a map (channels, height, width), not {value.dims}")
    return value.dims


@handler("Conv")
def conv(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    x, function = codes_of(context.value(values, 0))
    codes, points, scales = weights_of(context.const(values, 1, "weight"))
    if codes.ndim != 4:
        raise UnsupportedLayer(f"its weight has {codes.ndim} dimensions; only two-dimensional convolutions go in")
    channels, height, width = spatial(function)
    kernel = (codes.shape[2], codes.shape[3])
    stride, padding = window(node, (height, width), kernel)
    groups = node.integer("group", 1)
    if groups < 1 or codes.shape[1] * groups != channels or codes.shape[0] % groups:
        raise DeepDiveError(f"its weight {codes.shape} with {groups} groups does not fit {channels} channels")
    size = window_output(node.outputs[0], x.shape, kernel, stride, padding)
    how = Weights(codes.transpose(0, 2, 3, 1), points, weight_bits(context, values, 1), stride, padding, groups)
    offset = bias(context, values, 2, len(codes))
    return Affine((codes.shape[0], *size), (x,), how, scales * x.scale, offset)


def weight_bits(context: Context, values: list[Value | None], index: int) -> int:
    return context.const(values, index, "weight").bits


def bias(context: Context, values: list[Value | None], index: int, channels: int) -> np.ndarray:
    """Real numbers (channels,), zeros where the input is missing."""
    if index >= len(values) or values[index] is None:
        return np.zeros(channels)
    found = context.const(values, index, "bias").values.astype(np.float64)
    if found.size not in (1, channels):
        raise DeepDiveError(f"its bias has {found.size} values; want {channels}")
    return np.broadcast_to(found.reshape(-1), (channels,)).copy()


def product(context: Context, x: Value, weight: Const, offset: np.ndarray | None, scale: float = 1.0) -> Affine:
    """A vector times weights (out, in)."""
    x_map, function = codes_of(x)
    if len(function.dims) != 1 or weight.values.ndim != 2:
        raise UnsupportedLayer(f"it multiplies {function.dims} by {weight.dims}; flatten to (batch, features) first")
    codes, points, scales = weights_of(weight)
    if codes.shape[1] != function.dims[0]:
        raise DeepDiveError(f"its weight {codes.shape} does not fit {function.dims[0]} features")
    if function.order:
        # ONNX flattens channels outermost, the integer network innermost.
        codes = codes.reshape(len(codes), *function.order).transpose(0, 2, 3, 1).reshape(len(codes), -1)
    how = Weights(codes[:, None, None, :], points, weight.bits, linear=True)
    offset = np.zeros(len(codes)) if offset is None else offset
    return Affine((len(codes),), (x_map,), how, scales * x_map.scale * scale, offset)


@handler("Gemm")
def gemm(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    if node.integer("transA", 0):
        raise UnsupportedLayer("transA is not imported")
    weight = context.const(values, 1, "weight")
    if weight.values.ndim != 2:
        raise DeepDiveError(f"its weight has {weight.values.ndim} dimensions; want 2")
    if not node.integer("transB", 0):
        weight = weight.moved(np.transpose)
    alpha, beta = (node.real(name, 1.0) for name in ("alpha", "beta"))
    offset = bias(context, values, 2, weight.dims[0]) * beta
    return product(context, context.value(values, 0), weight, offset, alpha)


@handler("MatMul")
def matmul(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    weight = context.const(values, 1, "weight")
    if weight.values.ndim != 2:
        raise UnsupportedLayer(f"its weight has {weight.values.ndim} dimensions; want 2")
    return product(context, context.value(values, 0), weight.moved(np.transpose), None)


@handler("BatchNormalization")
def batch_normalization(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    x = context.value(values, 0)
    if isinstance(x, Const):
        raise UnsupportedLayer("it normalises constants")
    gamma, beta, mean, variance = (
        context.const(values, index, what).values.astype(np.float64).reshape(-1)
        for index, what in enumerate(("scale", "bias", "mean", "variance"), start=1)
    )
    if {part.shape for part in (gamma, beta, mean, variance)} != {(x.dims[0],)}:
        raise DeepDiveError(f"its parameters do not have one value for each of {x.dims[0]} channels")
    spread = variance + node.real("epsilon", 1e-5)
    if not (spread > 0).all():
        raise DeepDiveError("its variance is negative or no number")
    gain = gamma / np.sqrt(spread)
    return scaled(x, gain, beta - mean * gain)


def scaled(x: Value, gain: np.ndarray, offset: np.ndarray) -> Value:
    """``gain * x + offset``, one number a channel or of shape (1,)."""
    if isinstance(x, Function) and gain.size == 1 and offset.size == 1:
        return x.applied(x.values * gain[0] + offset[0])
    if isinstance(x, Sum) and x.bounds.free and gain.size == 1 and offset.size == 1 and gain[0] > 0:
        scales = (x.scales[0] * float(gain[0]), x.scales[1] * float(gain[0]))
        return replace(x, scales=scales, offset=x.offset * float(gain[0]) + float(offset[0]))
    affine = as_affine(x)
    if not affine.bounds.free:
        raise UnsupportedLayer("it scales what was clipped before it was quantized; quantize in between")
    if max(gain.size, offset.size) > 1 and not isinstance(affine.how, Weights):
        raise UnsupportedLayer("it scales channels of a pool or product one by one; quantize in between")
    return replace(affine, gain=affine.gain * gain, offset=affine.offset * gain + offset)


def as_affine(x: Value) -> Affine:
    """A value as something to be scaled: a map goes through weights of one."""
    if isinstance(x, Affine):
        return x
    x_map, function = codes_of(x)
    if function.order:
        raise UnsupportedLayer("it scales the channels of a flattened map; do it before flattening")
    channels = function.dims[0]
    ones = np.ones((channels, 1, 1, 1), np.int8)
    how = Weights(ones, np.zeros(channels, np.int16), 2, groups=channels)
    return Affine(function.dims, (x_map,), how, np.full(channels, x_map.scale), np.zeros(channels))


def axes_of(context: Context, node: SourceNode, values: list[Value | None]) -> list[int]:
    """Axes from the attribute (old) or the second input; none if there is neither."""
    axes = node.integers("axes")
    if axes is None:
        axes = context.const(values, 1, "axes").integers("axes") if len(values) > 1 and values[1] else []
    return axes[:9]


@handler("GlobalAveragePool")
def global_average_pool(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    x, function = codes_of(context.value(values, 0))
    channels, height, width = spatial(function)
    return Affine((channels, 1, 1), (x,), None, np.array([x.scale / (height * width)]), np.zeros(1))


@handler("ReduceMean")
def reduce_mean(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    axes = axes_of(context, node, values)
    if sorted(axis % 4 for axis in axes) != [2, 3]:
        raise UnsupportedLayer(f"it takes the mean over axes {axes[:8]}; only height and width together go in")
    pooled = global_average_pool(context, node, values)
    assert isinstance(pooled, Affine)
    return pooled if node.integer("keepdims", 1) else replace(pooled, dims=pooled.dims[:1])


@handler("AveragePool")
def average_pool(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    x, function = codes_of(context.value(values, 0))
    channels, height, width = spatial(function)
    kernel = pair(node.integers("kernel_shape"), "kernel")
    counts = bool(node.integer("count_include_pad", 0))
    stride, padding = window(node, (height, width), kernel, may_grow=not counts)
    size = window_output(node.outputs[0], x.shape, kernel, stride, padding)
    inside = not counts and any(padding)
    gain = np.array([x.scale if inside else x.scale / math.prod(kernel)])
    return Affine((channels, *size), (x,), Pool(kernel, stride, padding, inside), gain, np.zeros(1))


@handler("MaxPool")
def max_pool(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    if len(node.outputs) > 1:
        raise UnsupportedLayer("its indices are not imported")
    x, function = codes_of(context.value(values, 0))
    channels, height, width = spatial(function)
    kernel = pair(node.integers("kernel_shape"), "kernel")
    stride, padding = window(node, (height, width), kernel, may_grow=True)
    size = window_output(node.outputs[0], x.shape, kernel, stride, padding)
    if channels * size[0] * size[1] > MAX_ELEMENTS:
        raise DeepDiveError("its output is too large")
    name = context.emitter.names.new(node.outputs[0])
    output = replace(x, name=name, shape=(*size, channels))
    return function_of(context.emitter.emit(MaxPool(x.name, output, kernel, stride, padding)), (channels, *size))


def added(a: Value, b: Value) -> Value:
    """The sum of two maps."""
    first, second = summand(a), summand(b)
    if a.dims != b.dims or first.order != second.order:
        raise UnsupportedLayer(f"it adds {a.dims} and {b.dims}; only maps of one shape are added")
    return Sum(a.dims, first.map, second.map, (first.scale, second.scale))


@dataclass(frozen=True)
class Summand:
    """``scale`` times the centred codes of a map."""

    map: FeatureMap
    scale: float
    order: Dims | None


def summand(value: Value) -> Summand:
    """A map, or a multiple of one."""
    if isinstance(value, Function) and value.map is None and value.values.size:
        numbers, codes = value.values, meaning(value.root) / value.root.scale
        scale = float(numbers @ codes) / max(float(codes @ codes), 1.0)
        if scale > 0 and np.abs(numbers - scale * codes).max() <= 1e-6 * scale:
            return Summand(value.root, scale, value.order)
    found, function = codes_of(value)
    return Summand(found, found.scale, function.order)
