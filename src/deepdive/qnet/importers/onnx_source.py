"""An ONNX model of a stranger as plain data: nothing is believed before it is checked.

Errors leave out the file; `deepdive.qnet.importers.import_network` puts it before them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from deepdive.errors import DeepDiveError
from deepdive.qnet.feature_map import MAX_ELEMENTS, MAX_NAME
from deepdive.qnet.onnx_reader import MAX_NODES, check_name
from deepdive.qnet.onnx_size import check_structure
from deepdive.qnet.onnx_writer import HEADER_KEY

MAX_BATCH = 1024
MAX_CONSTANTS = 1 << 26
NUMBERS = (
    *(TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BOOL),
    *(TensorProto.UINT8, TensorProto.INT8, TensorProto.UINT16, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64),
)
INPUTS: dict[int, np.dtype[Any]] = {
    TensorProto.FLOAT: np.dtype(np.float32),
    TensorProto.UINT8: np.dtype(np.uint8),
    TensorProto.INT8: np.dtype(np.int8),
}
ATTRIBUTES = {
    AttributeProto.INT: "i",
    AttributeProto.INTS: "ints",
    AttributeProto.FLOAT: "f",
    AttributeProto.FLOATS: "floats",
    AttributeProto.STRING: "s",
    AttributeProto.TENSOR: "t",
}
STANDARD_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True)
class SourceNode:
    """A node: where it stands, what it reads and writes, and its attributes by name.

    Attribute values are int, float, str, array, or lists of int or float.
    """

    op_type: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]

    @property
    def title(self) -> str:
        """How errors name it."""
        return f"node '{self.outputs[0]}' ({self.op_type})"

    def integer(self, name: str, default: int) -> int:
        """An attribute that is an integer."""
        value = self.attributes.get(name, default)
        if not isinstance(value, int):
            raise DeepDiveError(f"its attribute '{name}' is no integer")
        return value

    def real(self, name: str, default: float) -> float:
        """An attribute that is a number, finite unless the default is not."""
        value = self.attributes.get(name, default)
        if not isinstance(value, int | float) or (name in self.attributes and not math.isfinite(value)):
            raise DeepDiveError(f"its attribute '{name}' is no finite number")
        return float(value)

    def text(self, name: str, default: str) -> str:
        """An attribute that is a string."""
        value = self.attributes.get(name, default)
        if not isinstance(value, str):
            raise DeepDiveError(f"its attribute '{name}' is no string")
        return value

    def integers(self, name: str, default: list[int] | None = None) -> list[int] | None:
        """An attribute that is a list of integers."""
        value = self.attributes.get(name, default)
        if value is not None and not (isinstance(value, list) and all(isinstance(one, int) for one in value)):
            raise DeepDiveError(f"its attribute '{name}' is no list of integers")
        return value


@dataclass(frozen=True)
class Source:
    """A graph with one input and one output, its nodes in order of execution.

    Parameters
    ----------
    input, dims
        The graph's input and its dimensions without the batch: (channels, height, width) or (features,).
    dtype
        Of the input: float32, uint8 or int8.
    batch
        A fixed batch, or None for a free one.
    opset
        Version of the standard operators.
    model
        What it was read from.
    """

    name: str
    input: str
    dims: tuple[int, ...]
    dtype: np.dtype[Any]
    batch: int | None
    output: str
    nodes: tuple[SourceNode, ...]
    constants: dict[str, np.ndarray]
    opset: int
    model: onnx.ModelProto

    @property
    def operators(self) -> set[str]:
        """Every operator's name."""
        return {node.op_type for node in self.nodes}


def parse_source(data: bytes) -> Source:
    """The graph in the bytes of an ONNX file.

    Raises
    ------
    DeepDiveError
        Naming the node or tensor and the reason.
    google.protobuf.message.DecodeError
        When `data` is no ONNX model.
    """
    check_structure(data)
    model = onnx.ModelProto.FromString(data)
    graph = model.graph
    if any(entry.key == HEADER_KEY for entry in model.metadata_props):
        raise DeepDiveError("it is an integer network of DeepDive already; use it as it is")
    if model.functions or model.training_info or graph.sparse_initializer:
        raise DeepDiveError("functions, training information and sparse initializers are not imported; inline them")
    if not 1 <= len(graph.node) <= MAX_NODES:
        raise DeepDiveError(f"it has {len(graph.node)} nodes; want 1 to {MAX_NODES}")
    constants: dict[str, np.ndarray] = {}
    for proto in graph.initializer:
        name = check_name(proto.name)
        if name in constants:
            raise DeepDiveError(f"two initializers are named '{name}'")
        constants[name] = read_tensor(proto, name)
    if sum(array.size for array in constants.values()) > MAX_CONSTANTS:
        raise DeepDiveError(f"its constants hold more than {MAX_CONSTANTS} numbers; no network for a board is as large")
    inputs = [info for info in graph.input if info.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise DeepDiveError(
            f"it has {len(inputs)} inputs and {len(graph.output)} outputs; want one picture in and one result out"
        )
    name = check_name(inputs[0].name)
    batch, dims = read_dims(inputs[0])
    nodes = tuple(read_node(node) for node in graph.node)
    check_order(nodes, {*constants, name})
    output = check_name(graph.output[0].name)
    if output not in {written for node in nodes for written in node.outputs}:
        raise DeepDiveError(f"no node writes its output '{output}'")
    opsets = [entry.version for entry in model.opset_import if entry.domain in STANDARD_DOMAINS]
    if len(opsets) != 1 or not 9 <= opsets[0] <= 64:
        raise DeepDiveError(f"it imports versions {opsets} of the standard operators; want one of 9 or later")
    title = graph.name if isinstance(graph.name, str) and graph.name.isprintable() and graph.name else "imported"
    dtype = INPUTS[inputs[0].type.tensor_type.elem_type]
    return Source(title[:100], name, dims, dtype, batch, output, nodes, constants, opsets[0], model)


def without_softmax(source: Source) -> Source:
    """The graph up to a softmax at its very end, which changes no order of the outputs; itself if there is none."""
    writers = {node.outputs[0]: node for node in source.nodes}
    name = source.output
    while (node := writers.get(name)) and node.op_type in ("QuantizeLinear", "DequantizeLinear", "Identity"):
        name = node.inputs[0] if node.inputs else ""
    if (
        node is None
        or node.op_type not in ("Softmax", "LogSoftmax")
        or not node.inputs
        or node.inputs[0] not in writers
    ):
        return source
    last = source.nodes.index(writers[node.inputs[0]])
    return replace(source, output=node.inputs[0], nodes=source.nodes[: last + 1])


def read_dims(info: onnx.ValueInfoProto) -> tuple[int | None, tuple[int, ...]]:
    """Batch and the other dimensions of the graph's input."""
    tensor = info.type.tensor_type
    dims = [dim.dim_value for dim in tensor.shape.dim]
    if tensor.elem_type not in INPUTS:
        raise DeepDiveError(f"input '{info.name}' has element type {tensor.elem_type}; want float, uint8 or int8")
    if len(dims) not in (2, 4) or any(not 1 <= size <= MAX_ELEMENTS for size in dims[1:]):
        raise DeepDiveError(
            f"input '{info.name}' has dimensions {dims}; want (batch, channels, height, width) or (batch, features), "
            "all but the batch fixed"
        )
    if math.prod(dims[1:]) > MAX_ELEMENTS or not 0 <= dims[0] <= MAX_BATCH:
        raise DeepDiveError(f"input '{info.name}' has dimensions {dims}, too large")
    return dims[0] or None, tuple(dims[1:])


def read_tensor(proto: TensorProto, name: str) -> np.ndarray:
    """An array of plain numbers, its size checked before memory is taken."""
    if proto.data_location != TensorProto.DEFAULT or proto.external_data:
        raise DeepDiveError(f"tensor '{name}' lies in another file; save the model in one file")
    if proto.data_type not in NUMBERS:
        raise DeepDiveError(f"tensor '{name}' has element type {proto.data_type}, which is not imported")
    shape = tuple(proto.dims)
    if len(shape) > 8 or any(not 0 <= size <= MAX_ELEMENTS for size in shape) or math.prod(shape) > MAX_ELEMENTS:
        raise DeepDiveError(f"tensor '{name}' has shape {shape}; want at most {MAX_ELEMENTS} elements")
    itemsize = helper.tensor_dtype_to_np_dtype(proto.data_type).itemsize
    size = math.prod(shape)
    held = len(proto.raw_data) == size * itemsize if proto.HasField("raw_data") else size in map(len, numbers(proto))
    if not held:
        raise DeepDiveError(f"tensor '{name}' holds data that do not fit its shape {shape}")
    try:
        return numpy_helper.to_array(proto)
    except (ValueError, TypeError, OverflowError) as error:
        raise DeepDiveError(f"tensor '{name}' holds no sound data ({error})") from None


def numbers(proto: TensorProto) -> Iterable[Any]:
    """The fields that hold a tensor's values if its raw bytes do not."""
    return (proto.float_data, proto.double_data, proto.int32_data, proto.int64_data)


def read_node(proto: onnx.NodeProto) -> SourceNode:
    """A node with one attribute a name, none of them a graph."""
    # protobuf hands out bytes where a file holds no UTF-8.
    for text in (proto.op_type, proto.domain, *(attribute.name for attribute in proto.attribute)):
        if not isinstance(text, str) or len(text) > MAX_NAME:
            raise DeepDiveError(f"a node's operator, domain or attribute is named {text!r:.80}")
    if not proto.output:
        raise DeepDiveError(f"a node ({proto.op_type:.80}) writes nothing")
    outputs = tuple(check_name(name) for name in proto.output if name)
    if not outputs or not proto.output[0]:
        raise DeepDiveError(f"a node ({proto.op_type:.80}) writes nothing")
    title = f"node '{outputs[0]}' ({proto.op_type:.80})"
    attributes: dict[str, Any] = {}
    for attribute in proto.attribute:
        field = ATTRIBUTES.get(attribute.type)
        if field is None or attribute.name in attributes or attribute.ref_attr_name:
            raise DeepDiveError(f"{title}: attribute '{attribute.name}' is doubled or of a type that is not imported")
        value = getattr(attribute, field)
        if field == "s":
            value = value.decode(errors="replace")
        elif field in ("ints", "floats"):
            value = list(value)
        elif field == "t":
            value = read_tensor(value, f"{outputs[0]}.{attribute.name}")
        attributes[attribute.name] = value
    inputs = tuple(name if name == "" else check_name(name) for name in proto.input)
    domain = "" if proto.domain in STANDARD_DOMAINS else proto.domain
    return SourceNode(proto.op_type, domain, inputs, outputs, attributes)


def check_order(nodes: tuple[SourceNode, ...], known: set[str]) -> None:
    """Refuse what is read before it is written (a cycle, too) and what is written twice."""
    known = set(known)
    for node in nodes:
        for name in node.inputs:
            if name and name not in known:
                raise DeepDiveError(f"{node.title} reads '{name}', which no earlier node writes")
        for name in node.outputs:
            if name in known:
                raise DeepDiveError(f"two tensors are named '{name}'")
            known.add(name)
