"""One operator as an ONNX node and back: attributes and initializers of each function of `onnx_functions`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np
from onnx import TensorProto

from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops import (
    Add,
    AvgPool,
    ChannelScale,
    Concat,
    Conv,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Node,
    Pad,
    Requantize,
    Rounding,
    Table,
)

Attributes = dict[str, Any]
"""Attribute values by name: int, list[int], float or str."""
OFFSETS: dict[Rounding, float] = {"half_up": 0.5, "floor": 0.0, "half_even": 0.5}


@dataclass(frozen=True)
class Described:
    """What an operator is in the file, but for the names of its tensors.

    `tensors` are in the order of the function's signature; `attributes` are all that the signature declares.
    """

    op_type: str
    tensors: tuple[np.ndarray, ...]
    attributes: Attributes


@dataclass(frozen=True)
class Parts:
    """What the file says of a node, its types already proven against the function's signature."""

    inputs: tuple[str, ...]
    output: FeatureMap
    tensors: dict[str, np.ndarray]
    attributes: Attributes


@singledispatch
def describe(node: Node, inputs: tuple[FeatureMap, ...]) -> Described:
    """The ONNX form of `node`, which reads the feature maps `inputs`."""
    raise NotImplementedError(type(node).__name__)


def output_attributes(output: FeatureMap) -> Attributes:
    """The output's type; its shape stands in the graph's value infos."""
    return {
        "zero_point": output.uniform_zero_point,
        "bits": output.bits,
        "dtype": TensorProto.INT8 if output.signed else TensorProto.UINT8,
        "scale": repr(output.scale),
    }


def clip_attributes(how: Requantize | Add) -> Attributes:
    """Rounding and clip."""
    return {"q_min": how.q_min, "q_max": how.q_max, "rounding_offset": OFFSETS[how.rounding]}


def pool_attributes(how: Requantize) -> Attributes:
    """The same of a pool."""
    return clip_attributes(how) | {"half_even": int(how.rounding == "half_even")}


def requantize(parts: Parts) -> Requantize:
    """Inverse of `clip_attributes`, with mult and shift."""
    tensors, (q_min, q_max, rounding) = parts.tensors, clip(parts)
    return Requantize(tensors["mult"], tensors["shift"], q_min, q_max, rounding)


def clip(parts: Parts) -> tuple[int, int, Rounding]:
    """q_min, q_max and rounding."""
    attributes = parts.attributes
    rounding: Rounding = "half_up" if attributes["rounding_offset"] == OFFSETS["half_up"] else "floor"
    if attributes.get("half_even"):
        rounding = "half_even"
    return attributes["q_min"], attributes["q_max"], rounding


def window_attributes(node: MaxPool | AvgPool) -> Attributes:
    """Geometry of a pool."""
    return {"kernel_shape": list(node.kernel), "strides": list(node.stride), "pads": list(node.padding)}


def window(parts: Parts) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int]]:
    """Inverse of `window_attributes`: kernel, stride, padding."""
    (height, width), (down, across) = parts.attributes["kernel_shape"], parts.attributes["strides"]
    top, left, bottom, right = parts.attributes["pads"]
    return (height, width), (down, across), (top, left, bottom, right)


@describe.register
def _(node: Conv, inputs: tuple[FeatureMap, ...]) -> Described:
    attributes = {
        "x_zero_point": list(inputs[0].zero_points),
        "strides": list(node.stride),
        "pads": list(node.padding),
        "group": node.groups,
        "weight_bits": node.weight_bits,
    }
    return Described(
        "Conv",
        (
            node.weight.transpose(0, 3, 1, 2),
            node.weight_zero_point,
            node.bias,
            node.requantize.mult,
            node.requantize.shift,
        ),
        attributes | clip_attributes(node.requantize) | output_attributes(node.output),
    )


def read_conv(parts: Parts) -> Conv:
    tensors, attributes = parts.tensors, parts.attributes
    return Conv(
        parts.inputs[0],
        parts.output,
        np.ascontiguousarray(tensors["weight"].transpose(0, 2, 3, 1)),
        attributes["weight_bits"],
        tensors["bias"],
        requantize(parts),
        tensors["weight_zero_point"],
        tuple(attributes["strides"]),
        tuple(attributes["pads"]),
        attributes["group"],
    )


@describe.register
def _(node: Linear, inputs: tuple[FeatureMap, ...]) -> Described:
    attributes = {"x_zero_point": list(inputs[0].zero_points), "weight_bits": node.weight_bits}
    return Described(
        "Linear",
        (node.weight, node.weight_zero_point, node.bias, node.requantize.mult, node.requantize.shift),
        attributes | clip_attributes(node.requantize) | output_attributes(node.output),
    )


def read_linear(parts: Parts) -> Linear:
    tensors = parts.tensors
    return Linear(
        parts.inputs[0],
        parts.output,
        tensors["weight"],
        parts.attributes["weight_bits"],
        tensors["bias"],
        requantize(parts),
        tensors["weight_zero_point"],
    )


@describe.register
def _(node: Add, inputs: tuple[FeatureMap, ...]) -> Described:
    attributes = {
        "a_zero_point": list(inputs[0].zero_points),
        "b_zero_point": list(inputs[1].zero_points),
        "a_mult": int(node.mult[0]),
        "b_mult": int(node.mult[1]),
        "shift": node.shift,
    }
    return Described("Add", (), attributes | clip_attributes(node) | output_attributes(node.output))


def read_add(parts: Parts) -> Add:
    a, b = parts.inputs
    attributes = parts.attributes
    mult = (attributes["a_mult"], attributes["b_mult"])
    return Add((a, b), parts.output, mult, attributes["shift"], *clip(parts))


@describe.register
def _(node: GlobalAvgPool, inputs: tuple[FeatureMap, ...]) -> Described:
    return Described(
        "GlobalAvgPool",
        (node.requantize.mult, node.requantize.shift),
        {"x_zero_point": list(inputs[0].zero_points)}
        | pool_attributes(node.requantize)
        | output_attributes(node.output),
    )


def read_global_avg_pool(parts: Parts) -> GlobalAvgPool:
    return GlobalAvgPool(parts.inputs[0], parts.output, requantize(parts))


@describe.register
def _(node: ChannelScale, inputs: tuple[FeatureMap, ...]) -> Described:
    zero_points = {
        "x_zero_point": list(inputs[0].zero_points),
        "factors_zero_point": list(inputs[1].zero_points),
    }
    return Described(
        "ChannelScale",
        (node.requantize.mult, node.requantize.shift),
        zero_points | clip_attributes(node.requantize) | output_attributes(node.output),
    )


def read_channel_scale(parts: Parts) -> ChannelScale:
    x, factors = parts.inputs
    return ChannelScale((x, factors), parts.output, requantize(parts))


@describe.register
def _(node: Table, inputs: tuple[FeatureMap, ...]) -> Described:
    return Described("Table", (node.values,), {"first_code": inputs[0].q_min} | output_attributes(node.output))


def read_table(parts: Parts) -> Table:
    return Table(parts.inputs[0], parts.output, parts.tensors["values"])


@describe.register
def _(node: MaxPool, inputs: tuple[FeatureMap, ...]) -> Described:
    return Described("MaxPool", (), window_attributes(node) | output_attributes(node.output))


def read_max_pool(parts: Parts) -> MaxPool:
    return MaxPool(parts.inputs[0], parts.output, *window(parts))


@describe.register
def _(node: AvgPool, inputs: tuple[FeatureMap, ...]) -> Described:
    return Described(
        "AvgPool",
        (node.requantize.mult, node.requantize.shift),
        {"x_zero_point": list(inputs[0].zero_points), "channels": inputs[0].shape[2]}
        | window_attributes(node)
        | pool_attributes(node.requantize)
        | output_attributes(node.output),
    )


def read_avg_pool(parts: Parts) -> AvgPool:
    return AvgPool(parts.inputs[0], parts.output, requantize(parts), *window(parts))


@describe.register
def _(node: Concat, inputs: tuple[FeatureMap, ...]) -> Described:
    return Described("Concat", (), output_attributes(node.output))


def read_concat(parts: Parts) -> Concat:
    a, b = parts.inputs
    return Concat((a, b), parts.output)


@describe.register
def _(node: Flatten, inputs: tuple[FeatureMap, ...]) -> Described:
    return Described("Flatten", (), output_attributes(node.output))


def read_flatten(parts: Parts) -> Flatten:
    return Flatten(parts.inputs[0], parts.output)


@describe.register
def _(node: Pad, inputs: tuple[FeatureMap, ...]) -> Described:
    return Described("Pad", (), {"pads": list(node.padding)} | output_attributes(node.output))


def read_pad(parts: Parts) -> Pad:
    return Pad(parts.inputs[0], parts.output, tuple(parts.attributes["pads"]))


READERS: dict[str, Callable[[Parts], Node]] = {
    "Conv": read_conv,
    "Linear": read_linear,
    "Add": read_add,
    "GlobalAvgPool": read_global_avg_pool,
    "ChannelScale": read_channel_scale,
    "Table": read_table,
    "MaxPool": read_max_pool,
    "AvgPool": read_avg_pool,
    "Concat": read_concat,
    "Flatten": read_flatten,
    "Pad": read_pad,
}
"""Inverse of `describe`, by operator type; whether the node keeps the contract is for `QNet` to say."""
