"""A foreign ONNX graph, node by node, to an integer network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from deepdive.errors import DeepDiveError, UnsupportedLayer, nearest
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.graph import QNet
from deepdive.qnet.importers import dialects, elementwise, layers
from deepdive.qnet.importers.context import HANDLERS, Context
from deepdive.qnet.importers.elementwise import constant_of
from deepdive.qnet.importers.emitter import Emitter, Origin
from deepdive.qnet.importers.onnx_source import Source, SourceNode
from deepdive.qnet.importers.values import Function, Grid, Quantized, Raw, Value

# Importing them registers their operators.
OPERATORS = (dialects, elementwise, layers)
OUTPUT_BITS = 8

OutputRange = Callable[[FeatureMap, dict[str, Value]], tuple[float, float]]
"""Smallest and largest number that the source gives, from the network's input and all values."""


@dataclass(frozen=True)
class Converted:
    """An integer network, and which foreign tensor each of its maps stands for."""

    net: QNet
    origins: dict[str, Origin]
    values: dict[str, Value]
    notes: tuple[str, ...]


def convert(source: Source, output_range: OutputRange, *, keep_bits: bool = False) -> Converted:
    """The integer network of a graph whose tensors say which codes they have.

    Parameters
    ----------
    output_range
        Asked when the graph's output is not quantized: it then gets 8 bits over that range.
    keep_bits
        Keep the weights' bits, even where biases are then met only roughly.

    Raises
    ------
    UnsupportedLayer, DeepDiveError
        Naming the node and the reason.
    """
    context = Context(source.opset, source.dtype, Emitter(keep_bits))
    values: dict[str, Value] = {name: constant_of(array) for name, array in source.constants.items()}
    values[source.input] = Raw(source.dims)
    for node in source.nodes:
        values[node.outputs[0]] = handle(context, node, values)
    output = finish(context, source, values, output_range)
    emitter = context.emitter
    assert emitter.input is not None
    if output.name == emitter.input.name:
        raise DeepDiveError("it computes nothing but its input")
    nodes = emitter.finished(output)
    net = QNet(source.name, emitter.input, nodes)
    origins = {name: origin for name, origin in emitter.origins.items() if name in net.maps}
    if emitter.widened:
        some = ", ".join(emitter.widened[:8]) + (", ..." if len(emitter.widened) > 8 else "")
        context.notes.append(
            f"Weights have more bits than in the source where biases lie between the accumulator's steps: {some}. To "
            "keep the weights short, quantize the biases (Int32Bias) or import with --keep-bits."
        )
    return Converted(net, origins, values, tuple(context.notes))


def handle(context: Context, node: SourceNode, values: dict[str, Value]) -> Value:
    """What a node writes."""
    found = HANDLERS.get((node.domain, node.op_type))
    if found is None:
        raise unsupported(node)
    try:
        for name in node.inputs:
            if name and name not in values:
                raise UnsupportedLayer(f"it reads '{name}', a second output that is not imported")
        return found(context, node, [values[name] if name else None for name in node.inputs])
    except DeepDiveError as error:
        raise type(error)(f"{node.title}: {error}") from None


def unsupported(node: SourceNode) -> UnsupportedLayer:
    """The sentence for an operator nobody handles."""
    if node.op_type.startswith("QLinear") or node.op_type in ("ConvInteger", "MatMulInteger"):
        return UnsupportedLayer(
            f"{node.title} is of ONNX Runtime's operator format; quantize with quant_format=QuantFormat.QDQ"
        )
    known = sorted({op_type for _, op_type in HANDLERS})
    domain = f" of domain '{node.domain[:80]}'" if node.domain else ""
    return UnsupportedLayer(f"{node.title}{domain} is not imported{nearest(node.op_type[:80], known)}")


def finish(context: Context, source: Source, values: dict[str, Value], output_range: OutputRange) -> FeatureMap:
    """The network's output, quantized here if the graph does not."""
    value = values[source.output]
    if isinstance(value, Quantized):
        value = value.function
    if isinstance(value, Function) and value.map is not None:
        return value.map
    if context.emitter.input is None:
        raise DeepDiveError(f"its input '{source.input}' is not quantized, though other tensors are; quantize it too")
    low, high = output_range(context.emitter.input, values)
    largest = max(abs(low), abs(high))
    if not np.isfinite(largest):
        raise DeepDiveError(f"its output '{source.output}' is not finite")
    top = (1 << (OUTPUT_BITS - 1)) - 1
    grid = Grid(max(largest, 1e-6) / top, 0, OUTPUT_BITS, True, -top - 1, top)
    try:
        found = context.emitter.quantize(value, grid, source.output).map
    except DeepDiveError as error:
        raise type(error)(f"output '{source.output}': {error}") from None
    assert found is not None
    context.notes.append(
        f"Output '{source.output}' is not quantized in the source; it got {OUTPUT_BITS} bits over "
        f"-{largest:.6g}..{largest:.6g}."
    )
    return found
