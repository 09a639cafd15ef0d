"""QONNX written by us: the `qonnx` package executes it, and our own importer reads it back."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from deepdive.cli import app
from deepdive.errors import UnsupportedLayer
from deepdive.qnet import FeatureMap, QNet
from deepdive.qnet.importers import Photographs, import_network
from deepdive.quantization import quantize
from networks import NetworkBuilder, Numbers, Window, every_operator_network, four_block_network, random_codes
from quantized_networks import Shape, mobilenet_like, random_images

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes


def run_qonnx(net: QNet, folder: Path, codes: np.ndarray) -> np.ndarray:
    """Output codes NHWC as the `qonnx` package computes them from our export."""
    net.export_qonnx(folder / "net_qonnx.onnx")
    model = ModelWrapper(str(folder / "net_qonnx.onnx")).transform(InferShapes())
    reals = net.input.dequantize(codes).transpose(0, 3, 1, 2).astype(np.float32)
    name, output = model.graph.input[0].name, model.graph.output[0].name
    found = np.concatenate([execute_onnx(model, {name: one[None]})[output] for one in reals])
    found = found.reshape(len(found), net.output.shape[2], *net.output.shape[:2]).transpose(0, 2, 3, 1)
    return np.rint(found / net.output.scale) + net.output.uniform_zero_point


@pytest.mark.parametrize("seed", range(4))
def test_a_network_of_blocks_gives_the_same_answers(tmp_path: Path, seed: int) -> None:
    net = four_block_network(seed)
    codes = random_codes(net, batch=8)
    ours = net.run(codes)
    assert isinstance(ours, np.ndarray)
    theirs = run_qonnx(net, tmp_path, codes)
    assert np.array_equal(ours.reshape(8, -1).argmax(axis=1), theirs.reshape(8, -1).argmax(axis=1))
    assert np.abs(ours - theirs).max() <= 1


@pytest.mark.parametrize("seed", range(3))
def test_a_network_of_every_operator_gives_the_same_answers(tmp_path: Path, seed: int) -> None:
    net = every_operator_network(seed)
    codes = random_codes(net, batch=8)
    ours = net.run(codes)
    assert isinstance(ours, np.ndarray)
    theirs = run_qonnx(net, tmp_path, codes)
    assert np.array_equal(ours.reshape(8, -1).argmax(axis=1), theirs.reshape(8, -1).argmax(axis=1))


def test_a_multiplier_of_zero_leaves_the_zero_point(tmp_path: Path) -> None:
    net = four_block_network()
    builder = NetworkBuilder(net.input)
    x = builder.conv("only", net.input, 4, Window.same(3), Numbers(weight_zero_points=True, zero_point=9))
    node = builder.nodes[0]
    node.requantize.mult[:2] = 0
    codes = random_codes(builder.build(), batch=2)
    theirs = run_qonnx(builder.build(), tmp_path, codes)
    assert (theirs[..., :2] == 9).all()
    assert np.abs(theirs - builder.build().run(codes)).max() <= 1
    assert x.shape[2] == 4


@pytest.mark.parametrize("signed", [False, True])
def test_what_we_export_we_import(tmp_path: Path, signed: bool) -> None:
    """The same codes, but for biases that were rounded to single precision in between."""
    numbers = Numbers(bits=6, weight_bits=4, weight_zero_points=not signed, signed=signed, weight_signed=signed)
    builder = NetworkBuilder(FeatureMap("image", (9, 9, 3), scale=0.02, zero_point=114))
    x = builder.conv("stem", builder.source, 8, Window.same(3, 2), numbers)
    x = builder.max_pool("pool", builder.depthwise("depthwise", x, Window.same(3), numbers), Window((2, 2), (2, 2)))
    builder.conv("head", x, 5, Window((2, 2)), numbers)
    net = builder.build()
    net.export_qonnx(tmp_path / "net_qonnx.onnx")
    again = import_network(tmp_path / "net_qonnx.onnx", keep_bits=True).net
    assert [type(node) for node in again.nodes] == [type(node) for node in net.nodes]
    assert [getattr(node, "weight_bits", 0) for node in again.nodes] == [4, 4, 0, 4]
    codes = random_codes(net, batch=8)
    assert (net.run(codes) != again.run(codes)).mean() < 0.01


def test_raw_pixels_sums_and_pools_come_back(tmp_path: Path) -> None:
    """A PyTorch network of ours: a zero point a channel at its input, a residual add with two factors, a mean."""
    shape = Shape(6, 2, 3, 1, True, False, "relu6", (10, 12), 3)
    mean, std = (123.7, 116.25, 103.5), (58.4, 57.1, 57.4)
    net = quantize(mobilenet_like(shape), random_images(4, shape.size), mean=mean, std=std)
    net.export_qonnx(tmp_path / "net_qonnx.onnx")
    imported = import_network(tmp_path / "net_qonnx.onnx", keep_bits=True, photographs=Photographs(mean=(0, 0, 0)))
    assert imported.net.input.zero_point == net.input.zero_point == (124, 116, 104)
    assert imported.net.preprocess is not None
    codes = random_images(8, shape.size, seed=1)
    assert (net.run(codes) != imported.net.run(codes)).mean() < 0.001


@pytest.mark.parametrize("seed", range(3))
def test_blocks_come_back(tmp_path: Path, seed: int) -> None:
    net = four_block_network(seed)
    net.export_qonnx(tmp_path / "net_qonnx.onnx")
    again = import_network(tmp_path / "net_qonnx.onnx", keep_bits=True).net
    codes = random_codes(net, batch=8)
    assert [type(node) for node in again.nodes] == [type(node) for node in net.nodes]
    assert (net.run(codes) != again.run(codes)).mean() < 0.01


def test_pixels_with_a_zero_point_a_channel_are_for_convolutions_alone(tmp_path: Path) -> None:
    shape = Shape(6, 2, 3, 1, True, False, "relu6", (10, 12), 3)
    net = quantize(mobilenet_like(shape), random_images(4, shape.size), mean=(120, 110, 100), std=(50, 50, 50))
    net.export_qonnx(tmp_path / "net_qonnx.onnx")
    model = onnx.load(tmp_path / "net_qonnx.onnx")
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    model.graph.node.insert(1, onnx.helper.make_node("Relu", [first.input[0]], ["clipped"]))
    first.input[0] = "clipped"
    onnx.save(model, tmp_path / "net_qonnx.onnx")
    with pytest.raises(UnsupportedLayer, match="it reads pixels with a zero point a channel; only a convolution can"):
        import_network(tmp_path / "net_qonnx.onnx")


def test_the_command_writes_a_file_that_imports(tmp_path: Path) -> None:
    four_block_network().save(tmp_path / "net.onnx")
    done = CliRunner().invoke(app, ["export", str(tmp_path / "net.onnx"), "-o", str(tmp_path / "out.onnx"), "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["format"] == "qonnx"
    assert {node.op_type for node in onnx.load(tmp_path / "out.onnx").graph.node} >= {"Quant", "Conv", "Gemm"}


@pytest.mark.slow
def test_the_paper_s_network_gives_the_same_answer(shared: Path, tmp_path: Path) -> None:
    net = import_network(shared / "paper").net
    codes = np.load(shared / "paper" / "golden" / "cat.npz", allow_pickle=False)["input"][None]
    theirs = run_qonnx(net, tmp_path, codes)[0, 0, 0]
    ours = net.run(codes)[0, 0, 0]
    assert theirs.argmax() == ours.argmax() == 281
    # Fifty layers that floor: a few codes of the first ones differ in single precision, and each moves others.
    assert np.abs(theirs - ours).mean() < 2
