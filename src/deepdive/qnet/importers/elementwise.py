"""Foreign operators on one number at a time, and those that only move numbers around."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from deepdive.errors import DeepDiveError, UnsupportedLayer
from deepdive.qnet.feature_map import MAX_ELEMENTS
from deepdive.qnet.importers.context import Context, handler
from deepdive.qnet.importers.layers import added, axes_of, codes_of, scaled, spatial
from deepdive.qnet.importers.onnx_source import SourceNode
from deepdive.qnet.importers.values import (
    Affine,
    Const,
    Dims,
    Function,
    Joined,
    Quantized,
    Raw,
    Sum,
    Value,
    function_of,
)
from deepdive.qnet.ops import Pad

MAX_SHAPE = 64
"""Numbers in a constant that describes shapes or pads."""
Numbers = Callable[[np.ndarray], np.ndarray]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -700, 700)))


@handler("Relu", "Clip")
def clip(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    x = context.value(values, 0)
    low, high = (0.0, math.inf) if node.op_type == "Relu" else clip_bounds(context, node, values)
    if math.isnan(low) or math.isnan(high) or low > high:
        raise DeepDiveError(f"it clips to {low}..{high}")
    if isinstance(x, Function):
        return x.applied(np.clip(x.values, low, high))
    if isinstance(x, Affine | Sum | Joined):
        return replace(x, bounds=x.bounds.clipped(low, high))
    raise UnsupportedLayer("it clips the graph's input or codes; quantize first")


def clip_bounds(context: Context, node: SourceNode, values: list[Value | None]) -> tuple[float, float]:
    """Of Clip, from attributes (old) or inputs (since version 11)."""
    bounds = [node.real(name, default) for name, default in (("min", -math.inf), ("max", math.inf))]
    for index in (1, 2):
        if index < len(values) and values[index] is not None:
            bounds[index - 1] = context.const(values, index, "bound").scalar("bound")
    return bounds[0], bounds[1]


def apply(x: Value, function: Numbers) -> Value:
    """A function of one number; it needs codes to be tabulated over."""
    if not isinstance(x, Function):
        raise UnsupportedLayer("its input is not quantized; quantize what this activation reads")
    result = function(x.values)
    if not np.isfinite(result).all():
        raise DeepDiveError("it gives numbers that are not finite")
    return x.applied(result)


@handler("Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "LeakyRelu", "Elu", "Softplus", "Neg", "Abs", "Exp", "Sqrt")
def activation(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    def hard_sigmoid(x: np.ndarray) -> np.ndarray:
        return np.clip(node.real("alpha", 0.2) * x + node.real("beta", 0.5), 0, 1)

    functions: dict[str, Numbers] = {
        "Sigmoid": sigmoid,
        "HardSigmoid": hard_sigmoid,
        "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
        "Tanh": np.tanh,
        "LeakyRelu": lambda x: np.where(x < 0, node.real("alpha", 0.01) * x, x),
        "Elu": lambda x: np.where(x < 0, node.real("alpha", 1.0) * np.expm1(np.minimum(x, 0)), x),
        "Softplus": lambda x: np.logaddexp(0, x),
        "Neg": np.negative,
        "Abs": np.abs,
        "Exp": lambda x: np.exp(np.minimum(x, 1000)),
        "Sqrt": lambda x: np.sqrt(x),
    }
    x = context.value(values, 0)
    if isinstance(x, Const):
        return Const(functions[node.op_type](x.values))
    return apply(x, functions[node.op_type])


ARITHMETIC: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
}


@handler("Add", "Sub", "Mul", "Div")
def arithmetic(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    a, b = context.value(values, 0), context.value(values, 1)
    if isinstance(a, Const) and isinstance(b, Const):
        return known(node.op_type, a, b)
    if isinstance(a, Const):
        if node.op_type in ("Sub", "Div"):
            if a.values.size != 1:
                raise UnsupportedLayer("it subtracts or divides a constant a channel the other way round")
            first = a.values.reshape(-1).astype(np.float64)
            return apply(b, lambda x: ARITHMETIC[node.op_type](first, x))
        a, b = b, a
    if isinstance(b, Const):
        return with_constant(node.op_type, a, b)
    if isinstance(a, Function) and isinstance(b, Function) and (a.root, a.dims, a.order) == (b.root, b.dims, b.order):
        # Both are functions of one map's codes: so is what becomes of them.
        return apply(a, lambda x: ARITHMETIC[node.op_type](x, b.values))
    if node.op_type == "Add":
        return added(a, b)
    if node.op_type == "Mul":
        return channel_scale(a, b)
    raise UnsupportedLayer("only constants are subtracted or divided by; rewrite it as an addition or product")


def known(op_type: str, a: Const, b: Const) -> Const:
    """Arithmetic on known numbers; integers stay integers."""
    try:
        shape = np.broadcast_shapes(a.dims, b.dims)
    except ValueError:
        raise DeepDiveError(f"shapes {a.dims} and {b.dims} do not fit") from None
    if math.prod(shape) > MAX_ELEMENTS:
        raise DeepDiveError(f"its result {shape} is too large")
    result = ARITHMETIC[op_type](a.values, b.values)
    if op_type == "Div" and a.values.dtype.kind in "iu" and b.values.dtype.kind in "iu":
        result = np.trunc(np.nan_to_num(result, posinf=0, neginf=0)).astype(np.int64)
    return Const(result)


def with_constant(op_type: str, x: Value, constant: Const) -> Value:
    """A constant for the tensor, or one a channel."""
    numbers = constant.values.astype(np.float64)
    if not np.isfinite(numbers).all() or (op_type == "Div" and not numbers.all()):
        raise DeepDiveError("its constant is not finite, or it divides by zero")
    channel_shape = (1, -1, 1, 1)[: numbers.ndim] if numbers.ndim > len(x.dims) else (-1, *(1,) * (len(x.dims) - 1))
    if numbers.size != 1:
        if numbers.size != x.dims[0] or np.reshape(numbers, channel_shape).shape != numbers.shape:
            raise UnsupportedLayer(f"its constant {numbers.shape} is neither one number nor one a channel of {x.dims}")
        if isinstance(x, Function) and x.order:
            raise UnsupportedLayer("it treats the features of a flattened map one by one; do it before flattening")
    numbers = numbers.reshape(-1)
    one, zero = np.ones(1), np.zeros(1)
    if op_type == "Add":
        return scaled(x, one, numbers)
    if op_type == "Sub":
        return scaled(x, one, -numbers)
    return scaled(x, numbers if op_type == "Mul" else 1 / numbers, zero)


def channel_scale(a: Value, b: Value) -> Value:
    """Squeeze-excite: a map times one factor a channel."""
    (a_map, first), (b_map, second) = codes_of(a), codes_of(b)
    if len(first.dims) == 3 and first.dims[1:] == (1, 1) and second.dims[1:] != (1, 1):
        a_map, first, b_map, second = b_map, second, a_map, first
    if len(first.dims) != 3 or second.dims != (first.dims[0], 1, 1):
        raise UnsupportedLayer(f"it multiplies {first.dims} by {second.dims}; only one factor a channel goes in")
    return Affine(first.dims, (a_map, b_map), None, np.array([a_map.scale * b_map.scale]), np.zeros(1))


@handler("Identity", "Dropout")
def identity(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    return context.value(values, 0)


@handler("Cast")
def cast(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    x = context.value(values, 0)
    to = node.integer("to", 0)
    if isinstance(x, Const):
        if to in (6, 7):
            return Const(np.nan_to_num(x.values).astype(np.int64))
        if to in (1, 10, 11):
            return replace(x, values=x.values.astype(np.float64))
    if to in (1, 11) and not isinstance(x, Raw | Quantized):
        return x
    raise UnsupportedLayer("it changes an element type in a way that is not imported")


@handler("Concat")
def concat(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    parts = [context.value(values, index) for index in range(len(values))]
    axis = node.integer("axis", 1)
    if not parts:
        raise DeepDiveError("it joins nothing")
    if all(isinstance(part, Const) for part in parts):
        arrays = [part.values for part in parts if isinstance(part, Const)]
        if sum(array.size for array in arrays) > MAX_ELEMENTS or any(array.ndim != 1 for array in arrays):
            raise DeepDiveError("it joins constants that are no shapes")
        return Const(np.concatenate(arrays))
    functions = [part for part in parts if isinstance(part, Function)]
    if len(functions) != len(parts) or len(parts) > 256:
        raise UnsupportedLayer("what it joins is not quantized; quantize its inputs")
    dims = functions[0].dims
    if axis not in (1, -len(dims)) or any(part.dims[1:] != dims[1:] for part in functions):
        raise UnsupportedLayer(f"it joins along axis {axis}; only channels of maps of one height and width are joined")
    if any(part.order for part in functions):
        raise UnsupportedLayer("it joins flattened maps; join them before flattening")
    total = sum(part.dims[0] for part in functions)
    joined = Joined((total, *dims[1:]), tuple(functions))
    return functions[0] if len(functions) == 1 else joined


@handler("Pad")
def pad(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    x, function = codes_of(context.value(values, 0))
    channels, height, width = spatial(function)
    if node.text("mode", "constant") != "constant":
        raise UnsupportedLayer("it pads with something else than a constant; pad with zeros")
    pads = node.integers("pads")
    if pads is None:
        pads = context.const(values, 1, "pads").integers("pads")
    if len(values) > 2 and values[2] is not None and context.const(values, 2, "value").scalar("value") != 0:
        raise UnsupportedLayer("it pads with another number than zero")
    if len(values) > 3 and values[3] is not None:
        raise UnsupportedLayer("its axes are not imported; give pads for all of them")
    if len(pads) != 8 or any(pads[i] for i in (0, 1, 4, 5)) or any(not 0 <= one <= 4096 for one in pads):
        raise UnsupportedLayer(f"its pads {pads[:8]} are not those of height and width")
    top, left, bottom, right = (pads[i] for i in (2, 3, 6, 7))
    dims = (channels, height + top + bottom, width + left + right)
    if math.prod(dims) > MAX_ELEMENTS:
        raise DeepDiveError(f"its output {dims} is too large")
    output = replace(x, name=context.emitter.names.new(node.outputs[0]), shape=(*dims[1:], channels))
    return function_of(context.emitter.emit(Pad(x.name, output, (top, left, bottom, right))), dims)


@handler("Flatten", "Reshape", "Squeeze", "Unsqueeze")
def reshape(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    x = context.value(values, 0)
    if isinstance(x, Const):
        return known_reshape(context, node, x, values)
    dims = wanted_dims(context, node, x.dims, values)
    if dims == x.dims:
        return x
    vector = x.dims[1:] in ((), (1, 1)) and not (isinstance(x, Function) and x.order)
    if vector and dims in ((x.dims[0],), (x.dims[0], 1, 1)):
        return relabelled(x, dims)
    if len(dims) == 1 and isinstance(x, Function):
        return context.emitter.flatten(x, node.outputs[0])
    if len(dims) == 1 and isinstance(x, Quantized):
        return Quantized(context.emitter.flatten(x.function, node.outputs[0]))
    raise UnsupportedLayer(f"it makes {dims} of {x.dims}; only flattening to a vector goes in, after quantization")


def relabelled(x: Value, dims: Dims) -> Value:
    """The same numbers, as many, under other dimensions."""
    if isinstance(x, Quantized):
        return Quantized(replace(x.function, dims=dims))
    assert not isinstance(x, Const)
    return replace(x, dims=dims)


def wanted_dims(context: Context, node: SourceNode, dims: Dims, values: list[Value | None]) -> Dims:
    """Dimensions without the batch that a node makes of `dims`."""
    total = math.prod(dims)
    if node.op_type == "Flatten":
        if node.integer("axis", 1) != 1:
            raise UnsupportedLayer("it flattens from another axis than 1")
        return (total,)
    if node.op_type == "Reshape":
        shape = context.const(values, 1, "shape").integers("shape")
        if not 2 <= len(shape) <= 4 or any(not -1 <= size <= MAX_ELEMENTS for size in shape):
            raise UnsupportedLayer(f"it reshapes to {shape[:8]}")
        wanted = [dims[i] if size == 0 and i < len(dims) else size for i, size in enumerate(shape[1:])]
        if -1 in wanted:
            rest = math.prod(size for size in wanted if size != -1)
            wanted = [total // rest if size == -1 and rest > 0 else size for size in wanted]
        if math.prod(wanted) != total or min(wanted) < 1:
            raise UnsupportedLayer(f"it reshapes {dims} to {shape}")
        return tuple(wanted)
    axes = axes_of(context, node, values)
    if node.op_type == "Squeeze":
        rank = len(dims) + 1
        gone = {axis % rank for axis in axes} if axes else {i + 1 for i, size in enumerate(dims) if size == 1}
        if 0 in gone or any(dims[axis - 1] != 1 for axis in gone) or len(gone) == len(dims):
            raise UnsupportedLayer(f"it squeezes axes {axes} of {dims}")
        return tuple(size for i, size in enumerate(dims) if i + 1 not in gone)
    rank = len(dims) + 1 + len(axes)
    new = {axis % rank for axis in axes}
    if 0 in new or len(new) != len(axes) or rank > 5:
        raise UnsupportedLayer(f"it adds axes {axes} to {dims}")
    kept = iter(dims)
    return tuple(1 if axis in new else next(kept) for axis in range(1, rank))


def known_reshape(context: Context, node: SourceNode, x: Const, values: list[Value | None]) -> Const:
    """The same on known numbers, where the batch is no exception."""
    if node.op_type == "Flatten":
        shape: list[int] = [x.dims[0] if x.dims else 1, -1]
    elif node.op_type == "Reshape":
        shape = context.const(values, 1, "shape").integers("shape")
        shape = [x.dims[i] if size == 0 and i < len(x.dims) else size for i, size in enumerate(shape)]
    else:
        axes = axes_of(context, node, values)
        move = np.squeeze if node.op_type == "Squeeze" else np.expand_dims
        where = tuple(axes)
        return moved(x, lambda part: move(part, where))
    return moved(x, lambda part: part.reshape(shape))


def moved(x: Const, move: Numbers) -> Const:
    """`x.moved`, with what NumPy refuses in our words."""
    try:
        return x.moved(move)
    except (ValueError, OverflowError, TypeError) as error:
        raise DeepDiveError(f"a constant of shape {x.dims} does not fit ({error})") from None


@handler("Transpose")
def transpose(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    x = context.value(values, 0)
    perm = node.integers("perm")
    if isinstance(x, Const):
        return moved(x, lambda part: np.transpose(part, perm))
    if perm == list(range(len(x.dims) + 1)):
        return x
    raise UnsupportedLayer("feature maps are not transposed; export the network with channels first (NCHW)")


@handler("Constant")
def constant(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    attributes = node.attributes
    if len(attributes) != 1:
        raise DeepDiveError("it holds no value, or several")
    ((name, found),) = attributes.items()
    if name not in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        raise UnsupportedLayer(f"its attribute '{name}' is not imported")
    return constant_of(np.asarray(found))


def constant_of(array: np.ndarray) -> Const:
    """An array; real numbers become float64, integers stay what they are."""
    return Const(
        array if array.dtype.kind in "iu" else array.astype(np.float64 if array.dtype.kind == "f" else np.int64)
    )


@handler("Shape")
def shape(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    x = context.value(values, 0)
    return Const(np.array(x.dims if isinstance(x, Const) else (1, *x.dims), dtype=np.int64))


@handler("Gather")
def gather(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    numbers = context.const(values, 0, "data").values
    index = context.const(values, 1, "indices")
    place = index.integers("indices")
    if numbers.ndim != 1 or len(place) != 1 or not -numbers.size <= place[0] < numbers.size:
        raise UnsupportedLayer("only single sizes of a shape are gathered")
    return Const(np.asarray(numbers[place[0]]).reshape(index.dims))


@handler("ConstantOfShape")
def constant_of_shape(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    sizes = context.const(values, 0, "shape").integers("shape")
    if min(sizes, default=0) < 0 or math.prod(sizes) > MAX_SHAPE:
        raise UnsupportedLayer("only short constants, such as the pads of an older exporter, are filled")
    fill = np.asarray(node.attributes.get("value", np.zeros(1))).reshape(-1)
    if fill.size != 1 or fill.dtype.kind not in "iuf":
        raise DeepDiveError("it fills with more than one number")
    return constant_of(np.full(sizes, fill[0]))


@handler("Slice")
def cut(context: Context, node: SourceNode, values: list[Value | None]) -> Value:
    numbers = context.const(values, 0, "data").values
    if numbers.ndim > 2 or numbers.size > MAX_SHAPE or len(values) < 3:
        raise UnsupportedLayer("only short constants, such as the pads of an older exporter, are cut")
    parts = [context.const(values, index, "ranges").integers("ranges") for index in range(1, len(values))]
    parts += [list(range(len(parts[0]))), [1] * len(parts[0])][len(parts) - 2 :]
    where = [slice(None)] * numbers.ndim
    for start, stop, axis, step in zip(*parts, strict=False):
        if not -numbers.ndim <= axis < numbers.ndim or not step:
            raise DeepDiveError("it cuts along an axis that is not there, or in steps of zero")
        backwards = step < 0 and stop < -numbers.shape[axis]
        where[axis] = slice(start, None if backwards else stop, step)
    return Const(numbers[tuple(where)])
