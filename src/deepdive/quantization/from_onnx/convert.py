"""A float ONNX graph, node by node, to a PyTorch module."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
from torch import nn

from deepdive.errors import DeepDiveError, UnsupportedLayer, nearest
from deepdive.qnet.importers.context import HANDLERS as KNOWN
from deepdive.qnet.importers.context import Context
from deepdive.qnet.importers.elementwise import constant_of
from deepdive.qnet.importers.emitter import Emitter
from deepdive.qnet.importers.onnx_source import Source, SourceNode
from deepdive.qnet.importers.values import Const, Raw, Value
from deepdive.quantization.from_onnx import elementwise, layers, windows
from deepdive.quantization.from_onnx.network import HANDLERS, MAX_MAP, Builder, OnnxModule, known

# Importing them registers their operators.
OPERATORS = (elementwise, layers, windows)


@dataclass(frozen=True)
class FloatNetwork:
    """A float network from an ONNX file.

    Parameters
    ----------
    module
        (N, C, H, W), float32, in evaluation mode.
    dims
        (C, H, W) of its input.
    gain, offset
        One number a channel (or one for all): the graph computes ``module(gain * input + offset)``, so that what it
        does to its input before anything else can be folded into the pixels' mean and std.
    """

    module: nn.Module
    dims: tuple[int, int, int]
    gain: np.ndarray
    offset: np.ndarray


def convert(source: Source) -> FloatNetwork:
    """The module of a float graph.

    Raises
    ------
    UnsupportedLayer, DeepDiveError
        Naming the node and the reason.
    """
    if len(source.dims) != 3 or source.dtype.kind != "f":
        raise DeepDiveError(f"its input '{source.input}' {source.dims} is no float map (channels, height, width)")
    if math.prod(source.dims) > MAX_MAP:
        raise DeepDiveError(f"its input '{source.input}' {source.dims} is too large; at most {MAX_MAP} values")
    values: dict[str, Value] = {name: constant_of(array) for name, array in source.constants.items()}
    values[source.input] = Raw(source.dims)
    readers = Counter(name for node in source.nodes for name in node.inputs)
    readers[source.output] += 1
    builder = Builder(Context(source.opset, source.dtype, Emitter(keep_bits=False)), values, readers)
    builder.input = source.input
    for node in source.nodes:
        try:
            step(builder, node)
        except DeepDiveError as error:
            raise type(error)(f"{node.title}: {error}") from None
    result = builder.tensor(source.output)
    if not isinstance(values[source.output], Raw) or result == source.input:
        raise DeepDiveError("it computes nothing from its input")
    module = OnnxModule(source.input, result, tuple(builder.steps), builder.modules)
    channels, height, width = source.dims
    return FloatNetwork(module.eval(), (channels, height, width), builder.gain, builder.offset)


def step(builder: Builder, node: SourceNode) -> None:
    """One node."""
    for name in node.inputs:
        if name and name not in builder.values:
            raise UnsupportedLayer(f"it reads '{name}', a second output that is not imported")
    key = (node.domain, node.op_type)
    if node.op_type == "Shape" or known(builder, node):
        if key not in KNOWN:
            raise UnsupportedLayer(f"it is not imported{nearest(node.op_type[:80], HANDLERS)}")
        value = KNOWN[key](builder.context, node, builder.arguments(node))
        if not isinstance(value, Const):
            raise UnsupportedLayer("of constants alone it is not imported")
        builder.values[node.outputs[0]] = value
        return
    found = HANDLERS.get(node.op_type) if node.domain == "" else None
    if found is None:
        domain = f" of domain '{node.domain[:80]}'" if node.domain else ""
        raise UnsupportedLayer(f"the operator{domain} is not imported{nearest(node.op_type[:80], HANDLERS)}")
    found(builder, node)
