"""QONNX operators spelled out in standard ONNX, so that stock ONNX Runtime executes the source."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

from deepdive.errors import DeepDiveError
from deepdive.qnet.importers.dialects import QONNX_DOMAINS, code_range
from deepdive.qnet.importers.onnx_source import Source, SourceNode
from deepdive.qnet.importers.values import Const, Value
from deepdive.qnet.onnx_writer import Names

LEAST_OPSET = 13


def standard_model(source: Source, values: dict[str, Value]) -> onnx.ModelProto:
    """The source's model without QONNX operators; `values` know the constants among its tensors."""
    model = onnx.ModelProto()
    model.CopyFrom(source.model)
    if all(node.domain == "" for node in source.nodes):
        del model.graph.node[len(source.nodes) :]
        return model
    if source.opset < LEAST_OPSET:
        raise DeepDiveError(f"QONNX files want operator set {LEAST_OPSET} or later, not {source.opset}")
    taken = {name for node in source.nodes for name in (*node.inputs, *node.outputs)}
    writer = Writer(Names(taken | set(source.constants)), values)
    # The source's nodes are fewer where a softmax at the end was left out.
    for proto, node in zip(source.model.graph.node, source.nodes, strict=False):
        if node.domain == "":
            writer.nodes.append(proto)
        else:
            writer.spell_out(node)
    del model.graph.node[:]
    model.graph.node.extend(writer.nodes)
    model.graph.initializer.extend(writer.initializers)
    del model.graph.quantization_annotation[:]
    kept = [entry for entry in model.opset_import if entry.domain not in QONNX_DOMAINS]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    return model


class Writer:
    """Collects the nodes of the standard model."""

    def __init__(self, names: Names, values: dict[str, Value]) -> None:
        self.names = names
        self.values = values
        self.nodes: list[NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def op(self, op_type: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """A standard node; the name of what it writes."""
        output = output or self.names.new(f"{inputs[0]}.{op_type}")
        self.nodes.append(helper.make_node(op_type, list(inputs), [output], **attributes))
        return output

    def number(self, value: float | list[int] | np.ndarray) -> str:
        """An initializer."""
        name = self.names.new("number")
        array = np.array(value, dtype=np.int64 if isinstance(value, list) else np.float32)
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def known(self, name: str) -> float:
        """The one number that a constant tensor holds."""
        value = self.values[name]
        assert isinstance(value, Const)
        return float(value.values.reshape(-1)[0])

    def spell_out(self, node: SourceNode) -> None:
        """One QONNX operator, which the converter has accepted."""
        if node.op_type in ("Quant", "IntQuant"):
            x, scale, point, bits = node.inputs
            codes = self.codes(x, scale, point)
            codes = self.clipped(self.round(codes, node), node, self.known(bits))
            self.op("Mul", self.op("Sub", codes, point), scale, output=node.outputs[0])
        elif node.op_type == "BipolarQuant":
            x, scale = node.inputs
            reached = self.op("GreaterOrEqual", x, self.number(0.0))
            sign = self.op("Where", reached, self.number(1.0), self.number(-1.0))
            self.op("Mul", sign, scale, output=node.outputs[0])
        elif node.op_type == "Trunc":
            self.trunc(node)
        else:
            self.multi_threshold(node)

    def codes(self, x: str, scale: str, point: str) -> str:
        return self.op("Add", self.op("Div", x, scale), point)

    def clipped(self, codes: str, node: SourceNode, bits: float) -> str:
        kind = (bool(node.integer("signed", 1)), bool(node.integer("narrow", 0)))
        low, high = code_range(int(bits), *kind)
        return self.op("Min", self.op("Max", codes, self.number(float(low))), self.number(float(high)))

    def round(self, x: str, node: SourceNode) -> str:
        """Integers, by the node's rounding mode."""
        how = node.text("rounding_mode", "ROUND").upper()
        simple = {"ROUND": "Round", "HALF_EVEN": "Round", "FLOOR": "Floor", "CEIL": "Ceil"}
        if how in simple:
            return self.op(simple[how], x)
        size = self.op("Abs", x)
        if how == "HALF_UP":
            size = self.op("Add", size, self.number(0.5))
        return self.op("Mul", self.op("Sign", x), self.op("Floor", size))

    def trunc(self, node: SourceNode) -> None:
        x, scale, point, _, out, bits = node.inputs
        factor = self.number(2.0 ** np.rint(np.log2(self.known(out) / self.known(scale))))
        codes = self.op("Div", self.op("Round", self.codes(x, scale, point)), factor)
        codes = self.round(self.clipped(codes, node, self.known(bits)), node)
        self.op("Mul", self.op("Sub", codes, self.op("Div", point, factor)), out, output=node.outputs[0])

    def multi_threshold(self, node: SourceNode) -> None:
        thresholds = self.values[node.inputs[1]]
        assert isinstance(thresholds, Const)
        axis = self.number([-1])
        reached = self.op(
            "GreaterOrEqual", self.op("Unsqueeze", node.inputs[0], axis), self.number(thresholds.values[0])
        )
        count = self.op("ReduceSum", self.op("Cast", reached, to=1), axis, keepdims=0)
        step, bias = (self.number(node.real(key, n)) for key, n in (("out_scale", 1), ("out_bias", 0)))
        self.op("Add", self.op("Mul", count, step), bias, output=node.outputs[0])
