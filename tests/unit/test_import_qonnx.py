"""Files of Brevitas, imported; the `qonnx` package says what they mean."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from brevitas_networks import Bipolar, Separable, Truncated, export
from deepdive.errors import DeepDiveError, UnsupportedLayer
from deepdive.qnet import Conv, Linear, Table
from deepdive.qnet.importers import Deviation, import_network
from deepdive.qnet.importers.measure import reals_of, sample_codes, source_outputs
from deepdive.qnet.importers.onnx_source import parse_source
from deepdive.qnet.importers.values import Const

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

MAKERS: dict[str, Callable[[], torch.nn.Module]] = {
    "2 bits": lambda: Separable(2),
    "3 bits": lambda: Separable(3),
    "4 bits": lambda: Separable(4),
    "8 bits": lambda: Separable(8),
    "4 bits, integer biases": lambda: Separable(4, bias=True),
    "truncated means": Truncated,
    "bipolar weights": Bipolar,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The exported file of each network, made when first asked for."""
    folder = tmp_path_factory.mktemp("qonnx")

    def find(name: str) -> Path:
        path = folder / f"{name}.onnx"
        if not path.exists():
            torch.manual_seed(0)
            export(MAKERS[name](), path, dynamo=name in ("4 bits", "truncated means"))
        return path

    return find


def run_qonnx(path: Path, inputs: np.ndarray) -> np.ndarray:
    """What the `qonnx` package gives for float inputs, one by one."""
    model = ModelWrapper(str(path)).transform(InferShapes())
    name, output = model.graph.input[0].name, model.graph.output[0].name
    return np.concatenate([execute_onnx(model, {name: one[None]})[output] for one in inputs])


@pytest.mark.parametrize("name", MAKERS)
def test_each_layer_is_close_and_the_answers_are_those_of_qonnx(files: Callable[[str], Path], name: str) -> None:
    imported = import_network(files(name))
    net, deviation = imported.net, imported.deviation
    assert deviation is not None
    assert imported.source == "QONNX"
    assert deviation.codes <= 1
    assert deviation.share <= 0.01
    codes = sample_codes(net.input, 4)
    reals = reals_of(parse_source(files(name).read_bytes()), net.input, codes)
    theirs = run_qonnx(files(name), reals)
    ours = net.output.dequantize(net.run(codes)).reshape(4, -1)
    assert np.abs(ours - theirs).max() <= 2.5 * net.output.scale
    best = theirs.max(axis=1)
    # The last layer gets 8 bits here and has none there: of two answers a code apart either may come first.
    assert (theirs[np.arange(4), ours.argmax(axis=1)] >= best - net.output.scale).all()


@pytest.mark.parametrize("name", ["4 bits", "truncated means", "bipolar weights"])
def test_the_standard_operators_we_compare_with_mean_what_qonnx_says(files: Callable[[str], Path], name: str) -> None:
    source = parse_source(files(name).read_bytes())
    values = {key: Const(array) for key, array in source.constants.items()}
    rng = np.random.default_rng(1)
    reals = rng.normal(size=(4, *source.dims)).astype(np.float32)
    (found,) = source_outputs(source, values, reals, [source.output])
    assert np.allclose(found, run_qonnx(files(name), reals), rtol=1e-5, atol=1e-5)


def test_weights_stay_short_where_biases_are_integers(files: Callable[[str], Path]) -> None:
    for name, kept, bits in (("4 bits, integer biases", False, {4, 8}), ("4 bits", True, {4, 8})):
        net = import_network(files(name), keep_bits=kept).net
        layers = [node for node in net.nodes if isinstance(node, Conv | Linear)]
        assert [node.weight_bits for node in layers] == [8, 4, 4, 4]
        assert {node.weight_bits for node in layers} == bits
    wider = import_network(files("4 bits"))
    assert any("Weights have more bits" in note for note in wider.notes)
    assert max(node.weight_bits for node in wider.net.nodes if isinstance(node, Conv) and node.is_depthwise) > 4


def quant(x: str, name: str, scale: float, bits: int, **attributes: object) -> onnx.NodeProto:
    known = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND"} | attributes
    numbers = [f"{name}.scale={scale}", f"{name}.zero=0", f"{name}.bits={bits}"]
    return helper.make_node("Quant", [x, *numbers], [name], domain="qonnx.custom_op.general", **known)


def graph(nodes: list[onnx.NodeProto], folder: Path, shape: tuple[int, ...] = (1, 2, 4, 4), **tensors: object) -> Path:
    """A file of these nodes; an input named `something=3` is the number 3."""
    written = {name for node in nodes for name in node.output} | {"x"}
    read = dict.fromkeys(name for node in nodes for name in node.input if name not in written)
    arrays = {name: tensors[name] if name in tensors else float(name.split("=")[1]) for name in read}
    initializers = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in arrays.items()]
    body = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        initializers,
    )
    domains = [helper.make_opsetid("", 13), helper.make_opsetid("qonnx.custom_op.general", 1)]
    onnx.save(helper.make_model(body, opset_imports=domains, ir_version=9), folder / "made.onnx")
    return folder / "made.onnx"


def equal(deviation: Deviation | None) -> bool:
    return deviation is not None and (deviation.codes, deviation.share) == (0, 0)


def thresholds(x: str, out_scale: float, out_bias: float) -> onnx.NodeProto:
    return helper.make_node(
        "MultiThreshold",
        [x, "rows"],
        ["y"],
        domain="qonnx.custom_op.general",
        out_dtype="UINT2",
        out_scale=out_scale,
        out_bias=out_bias,
    )


def test_thresholds_on_codes_are_a_table_whatever_they_are(tmp_path: Path) -> None:
    nodes = [quant("x", "q", 0.25, 4), thresholds("q", 0.5, -1.0)]
    path = graph(nodes, tmp_path, rows=[[-1.3, 0.1, 1.7]])
    imported = import_network(path)
    assert [type(node) for node in imported.net.nodes] == [Table]
    assert equal(imported.deviation)
    codes = sample_codes(imported.net.input, 2)
    theirs = run_qonnx(path, imported.net.input.dequantize(codes).transpose(0, 3, 1, 2).astype(np.float32))
    ours = imported.net.output.dequantize(imported.net.run(codes))
    assert np.array_equal(ours.transpose(0, 3, 1, 2), theirs)


def test_uniform_thresholds_on_a_sum_are_its_quantization(tmp_path: Path) -> None:
    weight = np.random.default_rng(0).integers(-3, 4, (2, 2, 1, 1)).astype(np.float32)
    nodes = [quant("x", "q", 0.5, 4), quant("w", "qw", 1.0, 4), helper.make_node("Conv", ["q", "qw"], ["c"])]
    uniform = [[0.35, 1.05, 1.75]]
    imported = import_network(graph([*nodes, thresholds("c", 0.7, 0.0)], tmp_path, w=weight, rows=uniform))
    assert equal(imported.deviation)
    with pytest.raises(UnsupportedLayer, match="not those of a uniform quantizer; quantize its input first"):
        import_network(graph([*nodes, thresholds("c", 0.7, 0.0)], tmp_path, w=weight, rows=[[0.35, 1.05, 1.9]]))
    with pytest.raises(UnsupportedLayer, match="differ from channel to channel"):
        import_network(graph([*nodes, thresholds("c", 0.7, 0.0)], tmp_path, w=weight, rows=[[0.3], [0.4]]))


def test_bipolar_activations_are_a_table_or_refused(tmp_path: Path) -> None:
    sign = helper.make_node("BipolarQuant", ["q", "s=1.5"], ["y"], domain="qonnx.custom_op.general")
    assert equal(import_network(graph([quant("x", "q", 0.5, 3), sign], tmp_path)).deviation)
    nodes = [quant("x", "q", 0.5, 4), quant("w", "qw", 1.0, 4), helper.make_node("Conv", ["q", "qw"], ["c"])]
    sign = helper.make_node("BipolarQuant", ["c", "s=1.5"], ["y"], domain="qonnx.custom_op.general")
    with pytest.raises(UnsupportedLayer, match="quantize it to 2 bits or more"):
        import_network(graph([*nodes, sign], tmp_path, w=np.ones((2, 2, 1, 1))))


@pytest.mark.parametrize("how", ["ROUND", "FLOOR", "CEIL", "ROUND_TO_ZERO"])
def test_rounding_modes_of_a_table(tmp_path: Path, how: str) -> None:
    nodes = [quant("x", "q", 0.5, 5), quant("q", "y", 0.8, 4, rounding_mode=how)]
    assert equal(import_network(graph(nodes, tmp_path)).deviation)


REFUSED = {
    "nan scale": (quant("x", "q", float("nan"), 4), "a scale is not finite and positive"),
    "negative scale": (quant("x", "q", -1.0, 4), "a scale is not finite and positive"),
    "one bit": (quant("x", "q", 1.0, 1), "it quantizes activations to 1 bits; choose 2 to 8"),
    "sixteen bits": (quant("x", "q", 1.0, 16), "it quantizes activations to 16 bits; choose 2 to 8"),
    "rounding": (quant("x", "q", 1.0, 4, rounding_mode="DICE"), "rounding mode 'DICE' is not imported"),
    "narrow input": (quant("x", "q", 1.0, 4, narrow=1), "uses less than all codes of its bits (narrow)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_quantizers_out_of_range_are_refused_by_name(tmp_path: Path, case: str) -> None:
    node, reason = REFUSED[case]
    with pytest.raises(DeepDiveError) as caught:
        import_network(graph([node, helper.make_node("Relu", ["q"], ["y"])], tmp_path))
    assert "node 'q' (Quant): " in str(caught.value)
    assert reason in str(caught.value)
