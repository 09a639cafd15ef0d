"""A QNet from an ONNX model of a stranger: nothing is believed before it is checked, and nothing ends in a traceback.

Errors leave out the file; `onnx_file.load` puts it before them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto
from pydantic import ValidationError

from deepdive.errors import DeepDiveError, nearest
from deepdive.qnet import onnx_functions as functions
from deepdive.qnet.feature_map import MAX_ELEMENTS, MAX_NAME, FeatureMap
from deepdive.qnet.fingerprint import fingerprint
from deepdive.qnet.graph import QNet
from deepdive.qnet.onnx_nodes import READERS, Parts, describe
from deepdive.qnet.onnx_writer import FORMAT, HEADER, HEADER_KEY, TO_NCHW, TO_NHWC, Header, element_type
from deepdive.qnet.ops import Node

MAX_NODES = 10_000
TENSOR_TYPES: dict[int, np.dtype[Any]] = {
    TensorProto.UINT8: np.dtype("<u1"),
    TensorProto.INT8: np.dtype("<i1"),
    TensorProto.UINT16: np.dtype("<u2"),
    TensorProto.INT16: np.dtype("<i2"),
    TensorProto.INT32: np.dtype("<i4"),
}
ATTRIBUTE_TYPES = {
    AttributeProto.INT: ("int", "i"),
    AttributeProto.INTS: ("ints", "ints"),
    AttributeProto.FLOAT: ("float", "f"),
    AttributeProto.STRING: ("string", "s"),
}


def from_model(model: onnx.ModelProto) -> QNet:
    """The network that `deepdive.qnet.onnx_writer.to_model` wrote.

    Raises
    ------
    DeepDiveError
        Naming the node and the reason, for any model that is not exactly a DeepDive network.
    """
    header = read_header(model)
    check_functions(model)
    graph = model.graph
    if graph.sparse_initializer or model.training_info:
        raise DeepDiveError("sparse initializers and training information are no part of a DeepDive network")
    if not 3 <= len(graph.node) <= MAX_NODES:
        raise DeepDiveError(f"it has {len(graph.node)} nodes; want 3 to {MAX_NODES}")
    tensors = read_initializers(graph)
    check_end(graph.input, header.input, header.input.name, "input")
    # From here on the entry's NCHW tensor goes by the input's name.
    entry = read_transpose(graph.node[0], header.input.name, TO_NCHW)
    maps = {header.input.name: header.input}
    shapes = read_shapes(graph)
    nodes = []
    for proto in graph.node[1:-1]:
        node = read_node(proto, {entry: header.input.name}, maps, tensors, shapes)
        if node.name in maps:
            raise DeepDiveError(f"two tensors are named '{node.name}'")
        maps[node.name] = node.output
        nodes.append(node)
    unread = set(tensors) - {name for proto in graph.node for name in proto.input}
    if unread:
        raise DeepDiveError(f"nobody reads initializer '{min(unread)}'")
    net = QNet(header.name, header.input, tuple(nodes), header.preprocess, header.labels, header.schedule)
    end = read_transpose(graph.node[-1], net.output.name, TO_NHWC)
    check_end(graph.output, net.output, end, "output")
    if fingerprint(net) != header.fingerprint:
        raise DeepDiveError("its contents do not match its fingerprint: it was damaged or changed; write it anew")
    return net


def read_header(model: onnx.ModelProto) -> Header:
    """The JSON in the model's metadata."""
    found = [entry.value for entry in model.metadata_props if entry.key == HEADER_KEY]
    if len(found) != 1:
        raise DeepDiveError(
            "it is no DeepDive network (or cut short); turn other ONNX files into one with 'deepdive import'"
        )
    try:
        header = HEADER.validate_json(found[0], strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            raise DeepDiveError("its header is no JSON") from None
        where = ".".join(map(str, first["loc"])) or "header"
        raise DeepDiveError(f"its header is wrong at '{where}': {first['msg']}") from None
    if header.format != FORMAT:
        raise DeepDiveError(f"its format is {header.format}; this version of DeepDive reads format {FORMAT}")
    check_name(header.input.name)
    return header


def check_functions(model: onnx.ModelProto) -> None:
    """Refuse functions that compute something else than the contract, or than standard operators."""
    imported = {(entry.domain or "", entry.version) for entry in model.opset_import}
    wanted = {("", functions.OPSET), (functions.DOMAIN, functions.DOMAIN_VERSION)}
    if imported != wanted:
        raise DeepDiveError(
            f"it imports the operator sets {sorted(map(str, imported))}; want {sorted(map(str, wanted))}"
        )
    names = [function.name for function in model.functions]
    for index, function in enumerate(model.functions):
        if function.name not in functions.SIGNATURES or function != functions.function(function.name):
            raise DeepDiveError(f"its function '{function.name}' is none of DeepDive's, or was changed")
        if function.name in names[:index]:
            raise DeepDiveError(f"its function '{function.name}' is there twice")
    for node in model.graph.node:
        if node.domain == functions.DOMAIN and node.op_type in functions.SIGNATURES and node.op_type not in names:
            raise DeepDiveError(f"its function '{node.op_type}' is missing")


def read_initializers(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """Arrays by name."""
    tensors: dict[str, np.ndarray] = {}
    for proto in graph.initializer:
        name = check_name(proto.name)
        if name in tensors:
            raise DeepDiveError(f"two initializers are named '{name}'")
        if proto.data_location != TensorProto.DEFAULT or proto.external_data:
            raise DeepDiveError(f"initializer '{name}' lies in another file; DeepDive reads none")
        dtype = TENSOR_TYPES.get(proto.data_type)
        if dtype is None:
            raise DeepDiveError(
                f"initializer '{name}' has element type {proto.data_type}; want one of {sorted(TENSOR_TYPES)}"
            )
        shape = tuple(proto.dims)
        if len(shape) > 4 or any(not 0 < size <= MAX_ELEMENTS for size in shape) or math.prod(shape) > MAX_ELEMENTS:
            raise DeepDiveError(
                f"initializer '{name}' has shape {shape}; want at most 4 dimensions and {MAX_ELEMENTS} elements"
            )
        data = proto.raw_data
        if len(data) != math.prod(shape) * dtype.itemsize:
            raise DeepDiveError(f"initializer '{name}' has {len(data)} bytes, which do not fit its shape {shape}")
        tensors[name] = np.frombuffer(data, dtype=dtype).astype(dtype.newbyteorder("="), copy=False).reshape(shape)
    return tensors


def read_shapes(graph: onnx.GraphProto) -> dict[str, tuple[int, int, int]]:
    """(height, width, channels) of the NCHW tensors within, by name."""
    shapes: dict[str, tuple[int, int, int]] = {}
    for info in graph.value_info:
        name = check_name(info.name)
        if name in shapes:
            raise DeepDiveError(f"tensor '{name}' is declared twice")
        dims = [dim.dim_value for dim in info.type.tensor_type.shape.dim]
        if len(dims) != 4:
            raise DeepDiveError(f"tensor '{name}' is declared with {len(dims)} dimensions; want 4")
        shapes[name] = (dims[2], dims[3], dims[1])
    return shapes


def check_end(declared: Any, feature_map: FeatureMap, name: str, which: str) -> None:
    """Refuse a graph whose input or output is not the one NHWC tensor that it must be."""
    if len(declared) != 1 or declared[0].name != name:
        raise DeepDiveError(f"the graph's {which} must be '{name}' alone, not {[info.name for info in declared]}")
    tensor = declared[0].type.tensor_type
    dims = tuple(dim.dim_value for dim in tensor.shape.dim)[1:]
    if tensor.elem_type != element_type(feature_map) or dims != feature_map.shape:
        raise DeepDiveError(
            f"{which} '{name}' is declared with another type or shape than (batch, {feature_map.shape})"
        )


def read_transpose(proto: onnx.NodeProto, reads: str, permutation: list[int]) -> str:
    """Name of what the first or last node of the graph writes."""
    attributes = list(proto.attribute)
    if (
        (proto.op_type, proto.domain, list(proto.input), len(proto.output)) != ("Transpose", "", [reads], 1)
        or [attribute.name for attribute in attributes] != ["perm"]
        or list(attributes[0].ints) != permutation
    ):
        raise DeepDiveError(f"its first and last nodes must turn NHWC to NCHW and back; the one on '{reads}' does not")
    return check_name(proto.output[0])


def read_node(
    proto: onnx.NodeProto,
    renamed: dict[str, str],
    maps: dict[str, FeatureMap],
    tensors: dict[str, np.ndarray],
    shapes: dict[str, tuple[int, int, int]],
) -> Node:
    """One operator, with everything it says of itself and its inputs checked."""
    if len(proto.output) != 1:
        raise DeepDiveError(f"a {proto.op_type} node writes {len(proto.output)} tensors; want one")
    name = check_name(proto.output[0])
    title = f"node '{name}' ({proto.op_type})"
    signature = functions.SIGNATURES.get(proto.op_type)
    if signature is None or proto.domain != functions.DOMAIN:
        known = nearest(proto.op_type, functions.SIGNATURES)
        raise DeepDiveError(f"{title} of domain '{proto.domain}' is no operator of DeepDive{known}")
    count = len(signature.maps)
    if len(proto.input) != count + len(signature.tensors):
        raise DeepDiveError(f"{title} has {len(proto.input)} inputs; want {count + len(signature.tensors)}")
    inputs = tuple(renamed.get(read, read) for read in proto.input[:count])
    for read in inputs:
        if read not in maps:
            raise DeepDiveError(f"{title} reads '{read}', which no earlier node writes")
    values: dict[str, np.ndarray] = {}
    for (formal, rank), read in zip(signature.tensors.items(), proto.input[count:], strict=True):
        if read not in tensors or tensors[read].ndim != rank:
            raise DeepDiveError(f"{title}: its {formal} '{read}' is missing or not of {rank} dimensions")
        values[formal] = tensors[read]
    attributes = read_attributes(proto, title, signature.attributes)
    if name not in shapes:
        raise DeepDiveError(f"{title}: its shape is declared nowhere")
    try:
        scale = float(attributes["scale"])
    except ValueError:
        raise DeepDiveError(f"{title}: scale '{attributes['scale']}' is no number") from None
    signed = attributes["dtype"] == TensorProto.INT8
    output = FeatureMap(name, shapes[name], attributes["bits"], signed, scale, attributes["zero_point"])
    node = READERS[proto.op_type](Parts(inputs, output, values, attributes))
    types = tuple(maps[read] for read in inputs)
    node.check(*types)
    # Every attribute must be what we would write ourselves: then a runtime that follows it computes what we do.
    for key, wanted in describe(node, types).attributes.items():
        if attributes[key] != wanted:
            raise DeepDiveError(f"{title}: attribute '{key}' is {attributes[key]}; its inputs and output want {wanted}")
    return node


def read_attributes(proto: onnx.NodeProto, title: str, wanted: dict[str, str]) -> dict[str, Any]:
    """Values by name, exactly the `wanted` ones, each of its kind."""
    values: dict[str, Any] = {}
    for attribute in proto.attribute:
        kind, field = ATTRIBUTE_TYPES.get(attribute.type, ("unknown", ""))
        if attribute.name in values or wanted.get(attribute.name) != kind or attribute.ref_attr_name:
            raise DeepDiveError(f"{title}: attribute '{attribute.name}' is unknown, doubled or of a wrong type")
        value = getattr(attribute, field)
        values[attribute.name] = (
            list(value) if kind == "ints" else value.decode(errors="replace") if kind == "string" else value
        )
    missing = set(wanted) - set(values)
    if missing:
        raise DeepDiveError(f"{title}: attribute '{min(missing)}' is missing")
    for name, length in (("kernel_shape", 2), ("strides", 2), ("pads", 4)):
        if len(values.get(name, range(length))) != length:
            raise DeepDiveError(f"{title}: attribute '{name}' has {len(values[name])} numbers; want {length}")
    return values


def check_name(name: Any) -> str:
    """A tensor's name that can be printed; protobuf hands out bytes where a file holds no UTF-8."""
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= MAX_NAME:
        raise DeepDiveError(f"a tensor is named {name!r:.80}; want 1 to {MAX_NAME} printable characters")
    return name
