"""A QNet as QONNX: real numbers, standard operators, and a `Quant` node wherever there are codes.

For tools that read QONNX. It says in single-precision numbers what the integer network says in integers: where a sum
ends within a rounding error of the middle between two codes, the next code may come out. Network files that must mean
the same in every code are `QNet.save`'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import singledispatchmethod
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.graph import QNet
from deepdive.qnet.onnx_writer import Names
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

DOMAIN = "qonnx.custom_op.general"
OPSET, IR_VERSION = 13, 8
LEAST_NUDGE = 2.0**-12
MODES: dict[Rounding, str] = {"half_up": "ROUND", "floor": "FLOOR", "half_even": "ROUND"}


def to_qonnx(net: QNet) -> onnx.ModelProto:
    """The QONNX model: real numbers (1, channels, height, width) in, real numbers out, (1, features) of a vector."""
    writer = Writer(net)
    for node in net.nodes:
        writer.write(node, net.inputs_of(node))
    writer.finish(net.output)
    shape = net.output.shape
    dims = [1, shape[2]] if shape[:2] == (1, 1) else [1, shape[2], *shape[:2]]
    graph = helper.make_graph(
        writer.nodes,
        net.name or "network",
        [helper.make_tensor_value_info(writer.entry, TensorProto.FLOAT, [1, net.input.shape[2], *net.input.shape[:2]])],
        [helper.make_tensor_value_info(writer.end, TensorProto.FLOAT, dims)],
        writer.initializers,
    )
    domains = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=domains, ir_version=IR_VERSION, producer_name="deepdive")


class Writer:
    """Collects the nodes; every feature map is a tensor of its own name, NCHW."""

    def __init__(self, net: QNet) -> None:
        self.names = Names(net.maps)
        self.entry, self.end = self.names.new(f"{net.input.name}.real"), self.names.new(f"{net.output.name}.end")
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self.quant(self.entry, net.input, net.input.name, "ROUND")

    def op(self, op_type: str, inputs: Iterable[str], output: str, domain: str = "", **attributes: Any) -> str:
        """A node; the name of what it writes."""
        self.nodes.append(helper.make_node(op_type, list(inputs), [output], name=output, domain=domain, **attributes))
        return output

    def array(self, values: Any, name: str, dtype: Any = np.float32) -> str:
        """An initializer."""
        name = self.names.new(name)
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(np.asarray(values, dtype)), name))
        return name

    def quant(self, x: str, to: FeatureMap, output: str, mode: str) -> None:
        """Real numbers `x` to the codes of a map, still as real numbers."""
        points = np.asarray(to.zero_points)
        point = points.reshape(1, -1, 1, 1) if len(points) > 1 else points[0]
        numbers = ((to.scale, "scale"), (point, "zero_point"), (to.bits, "bits"))
        inputs = [x, *(self.array(value, f"{output}.{what}") for value, what in numbers)]
        self.op("Quant", inputs, output, DOMAIN, signed=int(to.signed), narrow=0, rounding_mode=mode)

    def requantized(self, x: str, to: FeatureMap, how: Requantize | Add, mode: str) -> None:
        """The codes of real numbers `x`, with the clip of `how`."""
        if (how.q_min, how.q_max) != (to.q_min, to.q_max):
            bounds = [(code - to.uniform_zero_point) * to.scale for code in (how.q_min, how.q_max)]
            low, high = (
                self.array(bound, f"{to.name}.{what}") for bound, what in zip(bounds, ("min", "max"), strict=True)
            )
            x = self.op("Clip", [x, low, high], self.names.new(f"{to.name}.clip"))
        self.quant(x, to, to.name, mode)

    def scaled(self, x: str, factor: float, to: FeatureMap, what: str) -> str:
        return self.op("Mul", [x, self.array(factor, f"{to.name}.{what}")], self.names.new(f"{to.name}.{what}_mul"))

    def nudged(self, x: str, shift: Any, to: FeatureMap) -> str:
        return self.op(
            "Add", [x, self.array(nudge(shift, to), f"{to.name}.nudge")], self.names.new(f"{to.name}.nudged")
        )

    def finish(self, output: FeatureMap) -> None:
        """The last map under the graph's output name."""
        self.op("Flatten" if output.shape[:2] == (1, 1) else "Identity", [output.name], self.end)

    @singledispatchmethod
    def write(self, node: Node, inputs: tuple[FeatureMap, ...]) -> None:
        """One operator."""
        raise NotImplementedError(type(node).__name__)

    @write.register
    def _(self, node: Conv, inputs: tuple[FeatureMap, ...]) -> None:
        weight, bias = self.weights(node, inputs[0])
        top, left, bottom, right = node.padding
        output = self.names.new(f"{node.name}.sum")
        self.op(
            "Conv",
            [node.input, weight, bias],
            output,
            kernel_shape=list(node.kernel),
            strides=list(node.stride),
            pads=[top, left, bottom, right],
            group=node.groups,
        )
        self.requantized(output, node.output, node.requantize, MODES[node.requantize.rounding])

    @write.register
    def _(self, node: Linear, inputs: tuple[FeatureMap, ...]) -> None:
        weight, bias = self.weights(node, inputs[0])
        vector = self.op("Flatten", [node.input], self.names.new(f"{node.name}.vector"))
        output = self.op("Gemm", [vector, weight, bias], self.names.new(f"{node.name}.sum"), transB=1)
        shape = self.array([1, -1, 1, 1], f"{node.name}.shape", np.int64)
        output = self.op("Reshape", [output, shape], self.names.new(f"{node.name}.map"))
        self.requantized(output, node.output, node.requantize, MODES[node.requantize.rounding])

    def weights(self, node: Conv | Linear, x: FeatureMap) -> tuple[str, str]:
        """Quantized weights, and the bias, both in real numbers."""
        codes = node.weight.transpose(0, 3, 1, 2) if isinstance(node, Conv) else node.weight
        column = (-1, *(1,) * (codes.ndim - 1))
        gain = np.broadcast_to(gains(node.requantize) * node.output.scale, (len(codes),))
        # A multiplier of 0 leaves nothing but the zero point; any scale will do for such weights if the codes are none.
        silent = gain == 0
        scale = np.where(silent, 1.0, gain) / x.scale
        points = node.weight_zero_point.astype(np.float64)
        centred = np.where(silent.reshape(column), 0, codes - points.reshape(column))
        signed = int(node.weight.dtype == np.int8)
        names = [
            self.array(centred * scale.reshape(column), f"{node.name}.weight"),
            self.array(scale.reshape(column), f"{node.name}.weight_scale"),
            self.array(points.reshape(column) if points.any() else 0, f"{node.name}.weight_zero_point"),
            self.array(node.weight_bits, f"{node.name}.weight_bits"),
        ]
        quantized = self.names.new(f"{node.name}.weight_quant")
        self.op("Quant", names, quantized, DOMAIN, signed=signed, narrow=0, rounding_mode="ROUND")
        return quantized, self.array(node.bias * gain + nudge(node.requantize.shift, node.output), f"{node.name}.bias")

    @write.register
    def _(self, node: Add, inputs: tuple[FeatureMap, ...]) -> None:
        parts = []
        for x, mult, what in zip(inputs, node.mult, "ab", strict=True):
            factor = mult / 2.0**node.shift * node.output.scale / x.scale
            parts.append(x.name if factor == 1 else self.scaled(x.name, factor, node.output, what))
        output = self.op("Add", parts, self.names.new(f"{node.name}.sum"))
        self.requantized(self.nudged(output, node.shift, node.output), node.output, node, MODES[node.rounding])

    @write.register
    def _(self, node: GlobalAvgPool, inputs: tuple[FeatureMap, ...]) -> None:
        mean = self.op("GlobalAveragePool", [node.input], self.names.new(f"{node.name}.mean"))
        self.pooled(mean, node, inputs[0], math.prod(inputs[0].shape[:2]))

    @write.register
    def _(self, node: AvgPool, inputs: tuple[FeatureMap, ...]) -> None:
        whole = int(len(node.requantize.mult) == 1)
        mean = self.op(
            "AveragePool",
            [node.input],
            self.names.new(f"{node.name}.mean"),
            count_include_pad=whole,
            **window(node),
        )
        self.pooled(mean, node, inputs[0], math.prod(node.kernel))

    def pooled(self, mean: str, node: GlobalAvgPool | AvgPool, x: FeatureMap, taps: int) -> None:
        """A mean, corrected by how far the integer multiplier is from one by the number of taps."""
        factor = float(gains(node.requantize)[-1]) * taps * node.output.scale / x.scale
        mean = self.scaled(mean, factor, node.output, "correction")
        if node.requantize.rounding != "half_even":
            mean = self.nudged(mean, node.requantize.shift[-1], node.output)
        self.requantized(mean, node.output, node.requantize, MODES[node.requantize.rounding])

    @write.register
    def _(self, node: ChannelScale, inputs: tuple[FeatureMap, ...]) -> None:
        product = self.op("Mul", node.inputs, self.names.new(f"{node.name}.product"))
        factor = float(gains(node.requantize)[0]) * node.output.scale / (inputs[0].scale * inputs[1].scale)
        product = self.scaled(product, factor, node.output, "correction")
        product = self.nudged(product, node.requantize.shift[0], node.output)
        self.requantized(product, node.output, node.requantize, MODES[node.requantize.rounding])

    @write.register
    def _(self, node: Table, inputs: tuple[FeatureMap, ...]) -> None:
        """Codes as places in a table of real numbers."""
        x = inputs[0]
        first = self.array((x.q_min - x.uniform_zero_point) * x.scale, f"{node.name}.first")
        steps = self.op("Sub", [node.input, first], self.names.new(f"{node.name}.offset"))
        place = self.op("Div", [steps, self.array(x.scale, f"{node.name}.step")], self.names.new(f"{node.name}.place"))
        place = self.op("Round", [place], self.names.new(f"{node.name}.round"))
        place = self.op("Cast", [place], self.names.new(f"{node.name}.index"), to=TensorProto.INT64)
        values = self.array(node.output.dequantize(node.values), f"{node.name}.values")
        found = self.op("Gather", [values, place], self.names.new(f"{node.name}.found"), axis=0)
        self.quant(found, node.output, node.name, "ROUND")

    @write.register
    def _(self, node: MaxPool, inputs: tuple[FeatureMap, ...]) -> None:
        self.op("MaxPool", [node.input], node.name, **window(node))

    @write.register
    def _(self, node: Concat, inputs: tuple[FeatureMap, ...]) -> None:
        self.op("Concat", node.inputs, node.name, axis=1)

    @write.register
    def _(self, node: Flatten, inputs: tuple[FeatureMap, ...]) -> None:
        """Channels innermost, as the integer network flattens."""
        inner = self.op("Transpose", [node.input], self.names.new(f"{node.name}.nhwc"), perm=[0, 2, 3, 1])
        shape = self.array([1, -1, 1, 1], f"{node.name}.shape", np.int64)
        self.op("Reshape", [inner, shape], node.name)

    @write.register
    def _(self, node: Pad, inputs: tuple[FeatureMap, ...]) -> None:
        top, left, bottom, right = node.padding
        pads = self.array([0, 0, top, left, 0, 0, bottom, right], f"{node.name}.pads", np.int64)
        self.op("Pad", [node.input, pads], node.name)


def gains(how: Requantize) -> np.ndarray:
    """``mult / 2**shift``, float64."""
    return np.ldexp(how.mult.astype(np.float64), -how.shift.astype(int))


def nudge(shift: Any, to: FeatureMap) -> np.ndarray:
    """Half a step of what is shifted (at least a few rounding errors): what is exactly a code stays it when floored,
    and what is exactly between two codes is rounded up."""
    return np.asarray(np.maximum(np.ldexp(1.0, -np.asarray(shift).astype(int) - 1), LEAST_NUDGE) * to.scale)


def window(node: MaxPool | AvgPool) -> dict[str, Any]:
    """Geometry of a pool."""
    return {"kernel_shape": list(node.kernel), "strides": list(node.stride), "pads": list(node.padding)}
