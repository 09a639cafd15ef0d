"""Sound files that mutants are made of, built without any exporter: small, and of every operator the importer knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper
from PIL import Image

from deepdive.qnet.importers import FloatFile, Photographs, import_network
from deepdive.qnet.onnx_writer import to_model
from deepdive.quantization.from_onnx import Options, import_float
from networks import every_operator_network

QONNX = "qonnx.custom_op.general"


class Graph:
    """Collects nodes and numbers of a foreign graph."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.numbers: list[TensorProto] = []
        self.rng = np.random.default_rng(0)

    def number(self, value: object, dtype: type = np.float32) -> str:
        name = f"n{len(self.numbers)}"
        self.numbers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def op(self, op_type: str, inputs: Sequence[str], domain: str = "", **attributes: object) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [name], domain=domain, **attributes))
        return name

    def bytes(self, shape: list[int], output: str) -> bytes:
        """The file; the graph's input is `x`."""
        graph = helper.make_graph(
            self.nodes,
            "victim",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
            self.numbers,
        )
        domains = [helper.make_opsetid("", 17), helper.make_opsetid(QONNX, 1)]
        return helper.make_model(graph, opset_imports=domains, ir_version=9).SerializeToString()


class Qdq(Graph):
    """In the manner of ONNX Runtime's quantizer."""

    def codes(self, x: str, scale: float = 0.05, zero: int = 128) -> str:
        numbers = [self.number(scale), self.number(zero, np.uint8)]
        return self.op("DequantizeLinear", [self.op("QuantizeLinear", [x, *numbers]), *numbers])

    def weight(self, shape: tuple[int, ...], axis: int = 0) -> str:
        codes = self.number(self.rng.integers(-127, 128, shape), np.int8)
        channels = shape[axis]
        scales = self.number(self.rng.uniform(0.001, 0.02, channels))
        return self.op("DequantizeLinear", [codes, scales, self.number([0] * channels, np.int8)], axis=axis)


def qdq_file() -> bytes:
    """Every standard operator once."""
    g = Qdq()
    x = g.codes("x")
    x = g.codes(g.op("Conv", [x, g.weight((4, 3, 3, 3)), g.number([0.1] * 4)], strides=[2, 2], pads=[1] * 4))
    x = g.codes(g.op("Conv", [x, g.weight((4, 1, 3, 3))], group=4, auto_pad="SAME_UPPER"))
    x = g.codes(g.op("Mul", [x, g.codes(g.op("HardSigmoid", [x], alpha=0.2), 1 / 256, 0)]))
    pooled = g.codes(g.op("GlobalAveragePool", [x]))
    factors = g.codes(g.op("Sigmoid", [g.codes(g.op("Conv", [pooled, g.weight((4, 4, 1, 1))]))]), 1 / 256, 0)
    x = g.codes(g.op("Mul", [x, factors]))
    y = g.codes(g.op("Clip", [g.op("Conv", [x, g.weight((4, 4, 1, 1))]), g.number(0), g.number(6)]))
    x = g.codes(g.op("Add", [x, y]))
    pads = g.number([0, 0, 1, 1, 0, 0, 1, 1], np.int64)
    pool = g.op("MaxPool", [g.op("Pad", [x, pads])], kernel_shape=[2, 2], strides=[2, 2])
    mean = g.codes(g.op("AveragePool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 2, 2]))
    cut = g.codes(g.op("MaxPool", [g.codes(pool)], kernel_shape=[1, 1], strides=[1, 1]))
    x = g.codes(g.op("Concat", [cut, mean], axis=1))
    x = g.op("Reshape", [x, g.number([0, -1], np.int64)])
    x = g.codes(g.op("Relu", [g.op("Gemm", [x, g.weight((6, 200)), g.number([0.0] * 6)], transB=1)]))
    x = g.codes(g.op("Add", [g.op("MatMul", [x, g.weight((6, 5), 1)]), g.number([0.3] * 5)]))
    return g.bytes([1, 3, 16, 16], g.op("Softmax", [x]))


def qonnx_file() -> bytes:
    """Every operator of QONNX once."""
    g = Graph()

    def quant(x: str, scale: float, bits: int, **kind: object) -> str:
        numbers = [g.number(scale), g.number(0), g.number(bits)]
        return g.op("Quant", [x, *numbers], QONNX, **({"signed": 1, "narrow": 0, "rounding_mode": "ROUND"} | kind))

    def weight(shape: tuple[int, ...], bits: int) -> str:
        return quant(g.number(g.rng.normal(size=shape)), 0.2, bits, narrow=1)

    x = quant("x", 0.05, 8)
    x = g.op("Conv", [x, weight((4, 3, 3, 3), 4)], pads=[1] * 4)
    norm = [g.number(part) for part in ([1.0, -0.5, 0.7, 0.0], [0.1] * 4, [0.0] * 4, [1.0] * 4)]
    x = quant(g.op("Relu", [g.op("BatchNormalization", [x, *norm])]), 0.4, 4, signed=0)
    signs = g.op("BipolarQuant", [g.number(g.rng.normal(size=(4, 1, 3, 3))), g.number(0.3)], QONNX)
    y = quant(g.op("Conv", [x, signs], group=4, pads=[1] * 4), 0.3, 4, signed=0)
    x = quant(g.op("Add", [x, quant(y, 0.4, 4, signed=0)]), 0.5, 5, signed=0)
    rows = g.number([[0.5 * step + 0.25 for step in range(15)]])
    x = g.op("MultiThreshold", [x, rows], QONNX, out_dtype="UINT4", out_scale=0.5, out_bias=0.0)
    mean = g.op("AveragePool", [x], kernel_shape=[2, 2], strides=[2, 2])
    numbers = [g.number(value) for value in (0.125, 0.0, 6.0, 0.5, 4.0)]
    x = g.op("Trunc", [mean, *numbers], QONNX, rounding_mode="FLOOR", signed=0, narrow=0)
    x = g.op("Flatten", [x])
    return g.bytes([1, 3, 8, 8], g.op("Gemm", [x, weight((5, 64), 2), g.number([0.1] * 5)], transB=1))


def float_file() -> bytes:
    """Every kind of float operator that becomes a PyTorch module."""
    g = Graph()

    def weight(*shape: int) -> str:
        return g.number(g.rng.normal(size=shape))

    x = g.op("Div", [g.op("Sub", ["x", g.number(np.full((1, 3, 1, 1), 0.4))]), g.number(0.25)])
    x = g.op("Conv", [x, weight(4, 3, 3, 3), g.number([0.1] * 4)], strides=[2, 2], auto_pad="SAME_UPPER")
    norm = [g.number(part) for part in ([1.0, -0.5, 0.7, 0.2], [0.1] * 4, [0.0] * 4, [1.0] * 4)]
    x = g.op("HardSwish", [g.op("BatchNormalization", [x, *norm])])
    y = g.op("Conv", [x, weight(4, 1, 3, 3)], group=4, pads=[1] * 4)
    y = g.op("Clip", [g.op("Mul", [y, g.number(np.full((4, 1, 1), 0.5))]), g.number(0), g.number(6)])
    factors = g.op("Sigmoid", [g.op("Conv", [g.op("GlobalAveragePool", [y]), weight(4, 4, 1, 1)])])
    x = g.op("Add", [x, g.op("Mul", [y, factors])])
    pads = g.number([0, 0, 1, 0, 0, 0, 0, 1], np.int64)
    pool = g.op("MaxPool", [g.op("Pad", [x, pads])], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    mean = g.op("AveragePool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    x = g.op("Concat", [pool, g.op("LeakyRelu", [mean], alpha=0.1)], axis=1)
    x = g.op("Reshape", [x, g.number([0, -1], np.int64)])
    x = g.op("Relu", [g.op("Gemm", [x, weight(6, 72), g.number([0.1] * 6)], transB=1)])
    x = g.op("Add", [g.op("MatMul", [x, weight(6, 5)]), g.number([0.3] * 5)])
    return g.bytes([1, 3, 12, 12], g.op("Softmax", [x]))


def pictures(folder: Path, count: int = 3) -> tuple[Path, ...]:
    """A few small pictures to quantize float files with."""
    rng = np.random.default_rng(0)
    paths = tuple(folder / f"{index}.png" for index in range(count))
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(path)
    return paths


def open_file(path: Path, photographs: Photographs) -> None:
    """As the command line opens a file from elsewhere; DeepDiveError when it is refused."""
    try:
        import_network(path)
    except FloatFile:
        import_float(path, Options(photographs))


def victims() -> dict[str, bytes]:
    """Files by name; `own` ones go to `load`, all others to `open_file`."""
    return {
        "float": float_file(),
        "qdq": qdq_file(),
        "qonnx": qonnx_file(),
        "own": to_model(every_operator_network()).SerializeToString(deterministic=True),
    }
