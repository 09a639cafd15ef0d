"""A third party's word on what a network computes: stock ONNX Runtime on the network's own ONNX model."""

from __future__ import annotations

import numpy as np
import onnxruntime
from onnx import ValueInfoProto

from deepdive.qnet.graph import QNet
from deepdive.qnet.onnx_writer import to_model
from deepdive.qnet.reference import check_images


def run_onnx_runtime(net: QNet, images: np.ndarray) -> dict[str, np.ndarray]:
    """All feature maps of a batch, by name, NHWC codes: what `deepdive.qnet.reference.run` must give too.

    Parameters
    ----------
    images
        Input codes, (batch, height, width, channels).
    """
    check_images(net.input, images)
    model = to_model(net)
    end = model.graph.output[0].name
    model.graph.output.extend(ValueInfoProto(name=node.name) for node in net.nodes)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Threads that spin while they wait take the cores from whoever else computes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    outputs, *within = session.run([end, *(node.name for node in net.nodes)], {net.input.name: images})
    maps = {net.input.name: images}
    for node, codes in zip(net.nodes, within, strict=True):
        maps[node.name] = np.ascontiguousarray(codes.transpose(0, 2, 3, 1))
    maps[net.output.name] = outputs
    return maps
