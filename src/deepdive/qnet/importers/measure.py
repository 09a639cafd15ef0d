"""How far an imported network is from what the source's own runtime computes, layer by layer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnxruntime
from onnx import ValueInfoProto

from deepdive.errors import DeepDiveError
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.graph import QNet
from deepdive.qnet.importers.convert import Converted
from deepdive.qnet.importers.emitter import Origin
from deepdive.qnet.importers.imported import Deviation
from deepdive.qnet.importers.onnx_source import Source
from deepdive.qnet.importers.standard_ops import standard_model
from deepdive.qnet.importers.values import Value
from deepdive.qnet.ops import AvgPool, Conv, MaxPool, Node
from deepdive.qnet.reference import compute

IMAGES = 16
MAX_WORK = 2e9
"""Multiply-accumulates, or as much time in steps of Python, that a measurement may take."""
STEP_WORK = 2e4


def source_outputs(source: Source, values: dict[str, Value], reals: np.ndarray, names: list[str]) -> list[np.ndarray]:
    """What ONNX Runtime gives for tensors of the source.

    Parameters
    ----------
    reals
        The graph's input (batch, ...), of its own element type.
    """
    model = standard_model(source, values)
    del model.graph.output[:]
    model.graph.output.extend(ValueInfoProto(name=name) for name in names)
    del model.graph.value_info[:]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_mem_pattern = False
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        count = len(reals)
        batch = source.batch or count
        padded = -(-count // batch) * batch
        reals = np.concatenate([reals, np.repeat(reals[:1], padded - count, axis=0)])
        runs = [session.run(names, {source.input: reals[i : i + batch]}) for i in range(0, padded, batch)]
    except Exception as error:  # ONNX Runtime has no error type of its own: it raises whatever its C++ raised
        raise DeepDiveError(f"ONNX Runtime does not execute it ({str(error)[:300]})") from None
    found = [np.concatenate([np.atleast_1d(run[i]) for run in runs])[:count] for i in range(len(names))]
    for name, array in zip(names, found, strict=True):
        if len(array) != count or not array.size:
            raise DeepDiveError(f"ONNX Runtime gives '{name}' as {array.shape}, which is not one result an image")
    return found


def sample_codes(x: FeatureMap, count: int = IMAGES) -> np.ndarray:
    """Input codes: half of them noise, half of them patches of one colour, as photographs rather are."""
    rng = np.random.default_rng(0)
    codes = rng.integers(x.q_min, x.q_max, (count, *x.shape), endpoint=True)
    height, width, channels = x.shape
    if height > 1:
        for image in codes[1::2]:
            grid = rng.integers(x.q_min, x.q_max, (4, 4, channels), endpoint=True)
            image[:] = grid[np.arange(height)[:, None] * 4 // height, np.arange(width) * 4 // width]
    return codes.astype(x.dtype)


def reals_of(source: Source, x: FeatureMap, codes: np.ndarray) -> np.ndarray:
    """Codes NHWC as the source's input."""
    numbers = codes if source.dtype.kind != "f" else x.dequantize(codes).astype(np.float32)
    return np.ascontiguousarray(numbers.transpose(0, 3, 1, 2)).reshape(len(codes), *source.dims)


def output_range(source: Source, x: FeatureMap, values: dict[str, Value]) -> tuple[float, float]:
    """Twice what the source's output reaches on a few drawn inputs: photographs may reach further."""
    (found,) = source_outputs(source, values, reals_of(source, x, sample_codes(x)), [source.output])
    return 2 * float(found.min()), 2 * float(found.max())


def work(net: QNet) -> float:
    """Multiply-accumulates of an image, and steps of Python as what they cost."""
    total = float(net.macs())
    for node in net.nodes:
        total += 10 * math.prod(node.output.shape)
        if isinstance(node, MaxPool | AvgPool):
            taps = math.prod(node.kernel)
            total += taps * (10 * math.prod(node.output.shape) + STEP_WORK)
        if isinstance(node, Conv):
            total += STEP_WORK * math.prod(node.kernel) * (1 if node.is_depthwise else node.groups)
    return total


def measure(source: Source, converted: Converted) -> Deviation | None:
    """Compare every layer on drawn inputs; None when the network is too large for that."""
    net = converted.net
    images = min(IMAGES, int(MAX_WORK / max(work(net), 1)))
    if images < 1:
        return None
    codes = sample_codes(net.input, images)
    origins = {name: origin for name, origin in converted.origins.items() if origin.tensor != source.input}
    names = list(dict.fromkeys([source.output, *(origin.tensor for origin in origins.values())]))
    reals = reals_of(source, net.input, codes)
    theirs = dict(zip(names, source_outputs(source, converted.values, reals, names), strict=True))
    worst = Difference(net.output.name, 0, 0.0)
    ours, fed = {net.input.name: codes}, {net.input.name: codes}
    for node in net.nodes:
        types = net.inputs_of(node)
        ours[node.name] = step(node, types, ours)
        same = all(ours[name] is fed[name] for name in node.inputs)
        fed[node.name] = ours[node.name] if same else step(node, types, fed)
        if node.name in origins:
            wanted = their_codes(theirs[origins[node.name].tensor], origins[node.name], node.output)
            worst = worst.or_worse(node.name, fed[node.name], wanted)
            fed[node.name] = wanted.astype(node.output.dtype)
    answer = theirs[source.output].reshape(images, -1).astype(np.float64).argmax(axis=1)
    output = ours[net.output.name]
    mine = net.output.dequantize(output).transpose(0, 3, 1, 2).reshape(images, -1).argmax(axis=1)
    end = worst
    if net.output.name in origins:
        end = Difference("", 0, 0.0).or_worse(net.output.name, output, fed[net.output.name])
    return Deviation(images, worst.codes, worst.share, worst.layer, end.codes, int((answer == mine).sum()))


def step(node: Node, types: tuple[FeatureMap, ...], maps: dict[str, np.ndarray]) -> np.ndarray:
    """What one node makes of given maps."""
    return compute(node, types, tuple(maps[name] for name in node.inputs)).astype(node.output.dtype)


@dataclass(frozen=True)
class Difference:
    """Largest difference in codes so far, and the layer with the largest share of differing elements."""

    layer: str
    codes: int
    share: float

    def or_worse(self, layer: str, found: np.ndarray, wanted: np.ndarray) -> Difference:
        apart = np.abs(found.astype(np.int64) - wanted)
        share = np.count_nonzero(apart) / apart.size
        worse = share > self.share
        return Difference(layer if worse else self.layer, max(self.codes, int(apart.max())), max(share, self.share))


def their_codes(found: np.ndarray, origin: Origin, x: FeatureMap) -> np.ndarray:
    """A foreign tensor as codes NHWC."""
    if found.size != len(found) * math.prod(x.shape) or (len(origin.dims) == 3 and found.ndim != 4):
        raise DeepDiveError(f"ONNX Runtime gives '{origin.tensor}' as {found.shape}; the importer expects {x.shape}")
    if found.dtype.kind == "f":
        found = np.clip(np.rint(found.astype(np.float64) / x.scale) + x.uniform_zero_point, x.q_min, x.q_max)
    found = found.astype(np.int64)
    if origin.order:
        found = found.reshape(len(found), *origin.order).transpose(0, 2, 3, 1)
    elif len(origin.dims) == 3:
        found = found.transpose(0, 2, 3, 1)
    return found.reshape(len(found), *x.shape)
