"""Where foreign graphs say which codes a tensor has: ONNX's QuantizeLinear, QONNX's Quant and its kin."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from deepdive.errors import DeepDiveError, UnsupportedLayer
from deepdive.qnet.importers.context import Context, handler
from deepdive.qnet.importers.onnx_source import SourceNode
from deepdive.qnet.importers.values import ROUNDINGS, Const, Function, Grid, Quantized, Raw, Value, rounded

QONNX_DOMAINS = ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas")
CODES = {np.dtype(np.uint8): False, np.dtype(np.int8): True}
MAX_CONST_BITS = 32
LEAST_SCALE = 1e-30
"""Single precision holds everything from here to its inverse."""


def check_scale(scale: np.ndarray) -> np.ndarray:
    """Scales as float64, all of them finite and positive."""
    scale = np.asarray(scale, dtype=np.float64)
    if not scale.size or not np.isfinite(scale).all() or not (scale > 0).all():
        raise DeepDiveError("a scale is not finite and positive")
    if scale.min() < LEAST_SCALE or scale.max() > 1 / LEAST_SCALE:
        raise DeepDiveError(
            f"a scale of {scale.min():g} to {scale.max():g} is outside {LEAST_SCALE}..{1 / LEAST_SCALE}"
        )
    return scale


def zero_points(const: Const | None, scale: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Zero points (int64) in the scale's shape, within the codes' type."""
    if const is None:
        return np.zeros(scale.shape, np.int64)
    points = const.values
    if not np.isfinite(points).all() or (points != np.rint(points)).any():
        raise DeepDiveError("a zero point is no integer")
    if points.size != scale.size:
        raise DeepDiveError(f"it has {points.size} zero points for {scale.size} scales")
    info = np.iinfo(dtype)
    if points.min() < info.min or points.max() > info.max:
        raise DeepDiveError(f"a zero point lies outside {info.min}..{info.max}")
    return points.astype(np.int64).reshape(scale.shape)


def along_axis(numbers: np.ndarray, axis: int, shape: tuple[int, ...]) -> np.ndarray:
    """One number for all, or one for each place on `axis`, spread over `shape`."""
    if numbers.size == 1:
        return np.broadcast_to(numbers.reshape(()), shape)
    axis = axis + len(shape) if axis < 0 else axis
    if numbers.ndim != 1 or not 0 <= axis < len(shape) or shape[axis] != numbers.size:
        raise DeepDiveError(f"{numbers.size} scales do not fit axis {axis} of {shape}")
    return np.broadcast_to(numbers.reshape([-1 if i == axis else 1 for i in range(len(shape))]), shape)


@handler("QuantizeLinear")
def quantize_linear(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    scale = check_scale(context.const(values, 1, "scale").values)
    point = values[2] if len(values) > 2 else None
    if point is not None and not isinstance(point, Const):
        raise DeepDiveError("its zero point is no constant")
    dtype = np.dtype(np.uint8) if point is None else point.values.dtype
    if dtype not in CODES:
        raise DeepDiveError(f"it quantizes to {dtype}; want uint8 or int8")
    x = context.value(values, 0)
    points = zero_points(point, scale, dtype)
    info = np.iinfo(dtype)
    if isinstance(x, Const):
        axis = node.integer("axis", 1)
        spread = [along_axis(part, axis, x.dims) for part in (scale, points)]
        return Const(np.clip(np.rint(x.values / spread[0]) + spread[1], info.min, info.max).astype(dtype))
    if scale.size != 1:
        raise UnsupportedLayer("activations have a scale a channel; quantize them with one scale for the tensor")
    grid = Grid(float(scale.reshape(-1)[0]), int(points.reshape(-1)[0]), 8, CODES[dtype], int(info.min), int(info.max))
    return Quantized(context.emitter.quantize(x, grid, node.outputs[0]))


@handler("DequantizeLinear")
def dequantize_linear(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    x = context.value(values, 0)
    scale = check_scale(context.const(values, 1, "scale").values)
    point = values[2] if len(values) > 2 else None
    if point is not None and not isinstance(point, Const):
        raise DeepDiveError("its zero point is no constant")
    axis = node.integer("axis", 1)
    if isinstance(x, Const):
        dtype = x.values.dtype
        if dtype.kind not in "iu" or dtype.itemsize > 4:
            raise DeepDiveError("it dequantizes a constant that holds no codes")
        points = zero_points(point, scale, dtype)
        spread = [along_axis(part, axis, x.dims) for part in (scale, points)]
        real = spread[0] * (x.values - spread[1])
        if dtype not in CODES:
            return Const(real)
        return Const(real, x.values, spread[0], spread[1])
    if isinstance(x, Raw) and context.raw_dtype in CODES:
        # The graph's input is the codes themselves.
        points = zero_points(point, scale, context.raw_dtype)
        info = np.iinfo(context.raw_dtype)
        signed = CODES[context.raw_dtype]
        if scale.size != 1:
            raise UnsupportedLayer("the input has a scale a channel; quantize it with one scale")
        grid = Grid(float(scale.reshape(-1)[0]), int(points.reshape(-1)[0]), 8, signed, int(info.min), int(info.max))
        return context.emitter.quantize(x, grid, node.inputs[0])
    if not isinstance(x, Quantized):
        raise DeepDiveError("it dequantizes what was never quantized")
    x_map = x.function.map
    assert x_map is not None
    dtype = np.dtype(np.int8 if x_map.signed else np.uint8)
    points = zero_points(point, scale, dtype)
    if scale.size != 1 or (float(scale.reshape(-1)[0]), int(points.reshape(-1)[0])) != (x_map.scale, x_map.zero_point):
        raise DeepDiveError("it dequantizes with another scale or zero point than it was quantized with")
    return x.function


def check_inputs(values: list[Value | None], count: int) -> None:
    """Refuse a node with another number of inputs."""
    if len(values) != count or any(value is None for value in values):
        raise DeepDiveError(f"it has {len(values)} inputs; want {count}")


@handler("Quant", "IntQuant", domains=QONNX_DOMAINS)
def quant(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    """QONNX: (x, scale, zero point, bits), all real numbers."""
    check_inputs(values, 4)
    x = context.value(values, 0)
    scale = check_scale(context.const(values, 1, "scale").values)
    points = context.const(values, 2, "zero point").values
    bits = context.const(values, 3, "bit width").scalar("bit width")
    signed, narrow = (bool(node.integer(name, default)) for name, default in (("signed", 1), ("narrow", 0)))
    how = rounding_mode(node)
    if isinstance(x, Const):
        return quantized_const(x, scale, points, bits, (signed, narrow), how)
    pixels = isinstance(x, Raw) and points.shape == (1, x.dims[0], *[1] * (len(x.dims) - 1))
    if scale.size != 1 or (points.size != 1 and not pixels):
        raise UnsupportedLayer("activations have a scale a channel; quantize them with one scale for the tensor")
    grids = [
        replace(qonnx_grid(float(scale.reshape(-1)[0]), float(point), bits, signed, narrow), rounding=how)
        for point in points.reshape(-1)
    ]
    if isinstance(x, Raw) and len(grids) > 1:
        return context.emitter.quantize_pixels(x, grids, node.outputs[0])
    return context.emitter.quantize(x, grids[0], node.outputs[0])


def rounding_mode(node: SourceNode) -> str:
    """QONNX's rounding mode, upper case."""
    how = node.text("rounding_mode", "ROUND").upper()
    if how not in ROUNDINGS:
        raise DeepDiveError(f"rounding mode '{how[:40]}' is not imported; use one of {sorted(ROUNDINGS)}")
    return how


def qonnx_grid(scale: float, point: float, bits: float, signed: bool, narrow: bool) -> Grid:
    """Codes of 2 to 8 bits; narrow leaves out the lowest signed or the highest unsigned one."""
    if bits not in range(2, 9):
        raise UnsupportedLayer(f"it quantizes activations to {bits:g} bits; choose 2 to 8")
    width = int(bits)
    low, high = code_range(width, signed, narrow)
    if point != np.rint(point) or not low <= point <= high:
        raise DeepDiveError(f"zero point {point:g} is no code of {low}..{high}")
    return Grid(scale, int(point), width, signed, low, high)


def code_range(bits: int, signed: bool, narrow: bool) -> tuple[int, int]:
    """Smallest and largest code."""
    if signed:
        return -(1 << (bits - 1)) + narrow, (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1 - narrow


def quantized_const(
    x: Const, scale: np.ndarray, points: np.ndarray, bits: float, kind: tuple[bool, bool], how: str
) -> Const:
    """Known numbers, quantized; up to 8 bits their codes are kept."""
    if bits not in range(1, MAX_CONST_BITS + 1):
        raise DeepDiveError(f"a bit width of {bits:g} is none of 1 to {MAX_CONST_BITS}")
    try:
        spread = [np.broadcast_to(np.asarray(part, dtype=np.float64), x.dims) for part in (scale, points)]
    except ValueError:
        raise DeepDiveError(f"scales of shape {scale.shape} do not fit {x.dims}") from None
    low, high = code_range(int(bits), *kind)
    if not np.isfinite(x.values).all():
        raise DeepDiveError("it quantizes numbers that are not finite")
    # In single precision, as the source's runtime does it.
    steps = x.values.astype(np.float32) / spread[0].astype(np.float32) + spread[1].astype(np.float32)
    codes = np.clip(rounded(steps, how), low, high)
    real = spread[0] * (codes - spread[1])
    if bits > 8:
        return Const(real)
    if (spread[1] != np.rint(spread[1])).any() or spread[1].min() < low or spread[1].max() > high:
        raise DeepDiveError("a zero point of a weight is no code")
    dtype = np.int8 if kind[0] else np.uint8
    return Const(real, codes.astype(dtype), spread[0], spread[1].astype(np.int64), max(int(bits), 2))


@handler("BipolarQuant", domains=QONNX_DOMAINS)
def bipolar_quant(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    """Weights of plus and minus one; activations only where a table can make them."""
    check_inputs(values, 2)
    x = context.value(values, 0)
    scale = check_scale(context.const(values, 1, "scale").values)
    if isinstance(x, Const):
        try:
            spread = np.broadcast_to(scale, x.dims)
        except ValueError:
            raise DeepDiveError(f"scales of shape {scale.shape} do not fit {x.dims}") from None
        codes = np.where(x.values >= 0, 1, -1).astype(np.int8)
        return Const(spread * codes, codes, spread, np.zeros(x.dims, np.int64), 2)
    if not isinstance(x, Function) or scale.size != 1:
        raise UnsupportedLayer("the sign of an unquantized sum has no integer form here; quantize it to 2 bits or more")
    step = float(scale.reshape(-1)[0])
    signs = x.applied(np.where(x.values >= 0, step, -step))
    return context.emitter.quantize(signs, Grid(step, 0, 2, True, -1, 1), node.outputs[0])


@handler("Trunc", domains=QONNX_DOMAINS)
def trunc(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    """Version 2: (x, scale, zero point, bits in, scale out, bits out); drops the lowest bits of a code.

    The codes going in are integers (a sum, or a mean in steps of its scale), so that rounding them first, as QONNX
    says, changes nothing, and this is a quantization to the scale out.
    """
    if len(values) != 6:
        raise UnsupportedLayer(
            "it is version 1 of Trunc, which has no scale of its own; export it with a newer Brevitas"
        )
    x = context.value(values, 0)
    scale, point, out, bits = (
        context.const(values, index, what).scalar(what)
        for index, what in ((1, "scale"), (2, "zero point"), (4, "scale"), (5, "bit width"))
    )
    check_scale(np.array([scale, out]))
    factor = 2.0 ** np.rint(np.log2(out / scale))
    signed, narrow = (bool(node.integer(name, default)) for name, default in (("signed", 1), ("narrow", 0)))
    grid = qonnx_grid(scale * factor, point / factor, bits, signed, narrow)
    return context.emitter.quantize(x, replace(grid, rounding=rounding_mode(node)), node.outputs[0])


@handler("MultiThreshold", domains=QONNX_DOMAINS)
def multi_threshold(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    """How many thresholds a number reaches, where they are a uniform quantizer or a table can count them."""
    check_inputs(values, 2)
    x = context.value(values, 0)
    thresholds = context.const(values, 1, "thresholds").values
    step, bias = node.real("out_scale", 1.0), node.real("out_bias", 0.0)
    check_scale(np.array([step]))
    if thresholds.ndim != 2 or not thresholds.size or not np.isfinite(thresholds).all():
        raise DeepDiveError("its thresholds are not one finite row a channel, or one for all")
    if (np.diff(thresholds, axis=1) < 0).any() or thresholds.shape[1] > 255:
        raise DeepDiveError("its thresholds are not in ascending order, or more than 255")
    if thresholds.shape[0] > 1 and (thresholds != thresholds[:1]).any():
        raise UnsupportedLayer("its thresholds differ from channel to channel; that has no integer form here")
    row = thresholds[0]
    low = bias / step
    if low != np.rint(low) or not -255 <= low <= 0:
        raise UnsupportedLayer(f"out_bias {bias:g} is no multiple of out_scale between -255 and 0")
    signed = low < 0 and len(row) + low <= 127 and low >= -128
    first, last = (int(low), int(low) + len(row)) if signed else (0, len(row))
    bits = max(2, (max(last, -first - 1).bit_length() + 1) if signed else last.bit_length())
    grid = Grid(step, 0 if signed else int(-low), bits, signed, first, last)
    if isinstance(x, Function):
        count = np.searchsorted(row, x.values, side="right")
        return context.emitter.quantize(x.applied(bias + step * count), grid, node.outputs[0])
    steps = np.diff(row)
    middle = row[0] - step * (low + 0.5)
    if not np.allclose(steps, step, rtol=1e-5, atol=0) or abs(middle) > 1e-4 * step:
        raise UnsupportedLayer("its thresholds are not those of a uniform quantizer; quantize its input first")
    return context.emitter.quantize(x, replace(grid, rounding="HALF_UP"), node.outputs[0])
