"""A QNet as an ONNX model: NHWC at both ends, NCHW within, one `deepdive` function call an operator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper
from pydantic import ConfigDict, TypeAdapter

from deepdive.qnet import onnx_functions as functions
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.fingerprint import fingerprint
from deepdive.qnet.graph import QNet
from deepdive.qnet.onnx_nodes import describe
from deepdive.qnet.preprocess import Preprocess
from deepdive.qnet.schedule import Schedule

HEADER_KEY = "deepdive"
"""Key of the model's metadata that holds the header."""
FORMAT = 1
TO_NCHW, TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]
BATCH = "batch"


@dataclass(frozen=True)
class Header:
    """What an ONNX graph has no place for; JSON in the model's metadata.

    Parameters
    ----------
    format
        Version of the file's layout.
    fingerprint
        `deepdive.qnet.fingerprint.fingerprint` of the network: a damaged file is found out.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    format: int
    name: str
    fingerprint: str
    input: FeatureMap
    preprocess: Preprocess | None
    labels: tuple[str, ...]
    schedule: Schedule | None = None


HEADER = TypeAdapter(Header)


class Names:
    """Names that nobody else in a graph has."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.taken = set(taken)

    def new(self, wanted: str) -> str:
        """`wanted`, with as many underscores as it takes."""
        while wanted in self.taken:
            wanted += "_"
        self.taken.add(wanted)
        return wanted


def to_model(net: QNet) -> onnx.ModelProto:
    """The ONNX model of a network.

    The graph's input and output are the network's, NHWC with a free batch. Every feature map but the input is an NCHW
    tensor of its own name in between.
    """
    names = Names(net.maps)
    entry, end = names.new(f"{net.input.name}.nchw"), names.new(f"{net.output.name}.nhwc")
    nodes = [helper.make_node("Transpose", [net.input.name], [entry], perm=TO_NCHW, name=entry)]
    initializers: list[TensorProto] = []
    op_types = set()
    for node in net.nodes:
        described = describe(node, net.inputs_of(node))
        op_types.add(described.op_type)
        tensors = functions.SIGNATURES[described.op_type].tensors
        reads = [entry if name == net.input.name else name for name in node.inputs]
        for formal, values in zip(tensors, described.tensors, strict=True):
            initializers.append(raw_tensor(names.new(f"{node.name}.{formal}"), values))
            reads.append(initializers[-1].name)
        nodes.append(
            helper.make_node(
                described.op_type,
                reads,
                [node.name],
                name=node.name,
                domain=functions.DOMAIN,
                **described.attributes,
            )
        )
    nodes.append(helper.make_node("Transpose", [net.output.name], [end], perm=TO_NHWC, name=end))
    graph = helper.make_graph(
        nodes,
        net.name or "network",
        [nhwc(net.input, net.input.name)],
        [nhwc(net.output, end)],
        initializers,
        value_info=[nchw(net.input, entry), *(nchw(node.output, node.name) for node in net.nodes)],
    )
    model = helper.make_model(
        graph,
        functions=[functions.function(op_type) for op_type in sorted(op_types)],
        opset_imports=[
            helper.make_opsetid("", functions.OPSET),
            helper.make_opsetid(functions.DOMAIN, functions.DOMAIN_VERSION),
        ],
        ir_version=functions.IR_VERSION,
        producer_name="deepdive",
    )
    header = Header(FORMAT, net.name, fingerprint(net), net.input, net.preprocess, net.labels, net.schedule)
    helper.set_model_props(model, {HEADER_KEY: HEADER.dump_json(header).decode()})
    return model


def raw_tensor(name: str, values: np.ndarray) -> TensorProto:
    """An initializer in raw bytes, the only form that `onnx_reader` takes."""
    little_endian = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return helper.make_tensor(
        name, helper.np_dtype_to_tensor_dtype(values.dtype), values.shape, little_endian.tobytes(), raw=True
    )


def nhwc(feature_map: FeatureMap, name: str) -> onnx.ValueInfoProto:
    """Declaration of a tensor at the network's ends."""
    return helper.make_tensor_value_info(name, element_type(feature_map), [BATCH, *feature_map.shape])


def nchw(feature_map: FeatureMap, name: str) -> onnx.ValueInfoProto:
    """Declaration of a tensor within."""
    height, width, channels = feature_map.shape
    return helper.make_tensor_value_info(name, element_type(feature_map), [BATCH, channels, height, width])


def element_type(feature_map: FeatureMap) -> int:
    """ONNX type that holds the codes."""
    return int(TensorProto.INT8 if feature_map.signed else TensorProto.UINT8)
