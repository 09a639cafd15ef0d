"""The saved file: a stranger computes the same codes from it, and nothing is lost on the way there and back."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepdive.errors import DeepDiveError
from deepdive.qnet import Conv, FeatureMap, Linear, Node, Preprocess, QNet, Requantize, Table
from deepdive.qnet.fingerprint import fingerprint
from deepdive.qnet.onnx_file import load, save
from deepdive.qnet.onnx_functions import SIGNATURES, function
from deepdive.qnet.onnx_writer import to_model
from deepdive.qnet.preprocess import read_images
from deepdive.qnet.witness import run_onnx_runtime
from networks import (
    OPERATOR_NETWORKS,
    SEEDS,
    Block,
    Separable,
    every_operator_network,
    four_block_network,
    operator_networks,
    random_codes,
    separable_networks,
)
from tied_means import tied_means

PER_TEST_FOLDER = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def assert_same(a: Any, b: Any, where: str = "net") -> None:
    """Two values are equal field by field, types included."""
    assert type(a) is type(b), where
    if isinstance(a, np.ndarray):
        assert (a.dtype, a.shape) == (b.dtype, b.shape), where
        assert np.array_equal(a, b), where
    elif is_dataclass(a):
        for field in fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name), f"{where}.{field.name}")
    elif isinstance(a, tuple):
        assert len(a) == len(b), where
        for index, (left, right) in enumerate(zip(a, b, strict=True)):
            assert_same(left, right, f"{where}[{index}]")
    else:
        assert a == b, where


def assert_runtime_agrees(net: QNet, images: np.ndarray) -> None:
    ours, theirs = net.run(images, every=True), run_onnx_runtime(net, images)
    assert isinstance(ours, dict)
    assert list(ours) == list(theirs)
    for name, codes in ours.items():
        assert theirs[name].dtype == codes.dtype, name
        assert np.array_equal(theirs[name], codes), name


@pytest.mark.parametrize("kind", OPERATOR_NETWORKS)
@settings(max_examples=100, deadline=None)
@given(data=st.data(), seed=SEEDS)
def test_onnx_runtime_equals_the_reference_on_every_operator(kind: str, data: st.DataObject, seed: int) -> None:
    net = data.draw(operator_networks(kind))
    assert_runtime_agrees(net, random_codes(net, 2, seed))


@settings(max_examples=30, deadline=None)
@given(net=separable_networks(), seed=SEEDS)
def test_onnx_runtime_equals_the_reference_on_whole_networks(net: QNet, seed: int) -> None:
    assert_runtime_agrees(net, random_codes(net, 2, seed))


@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (1, 1, 0, 0)])
def test_ties_of_means(tmp_path: Path, padding: tuple[int, int, int, int]) -> None:
    net = tied_means(padding)
    assert_runtime_agrees(net, random_codes(net, 8))
    save(net, tmp_path / "net.onnx")
    assert_same(load(tmp_path / "net.onnx"), net)


def test_onnx_runtime_equals_the_reference_on_photographs() -> None:
    """A network of EfficientNet-Lite0's kind at 96x96, on pictures as users have them."""
    photographs = Path(pytest.importorskip("skimage.data").__file__).parent
    blocks = (Block(16, 1), Block(24, 6, 3, 2), Block(24, 6), Block(40, 6, 5, 2), Block(80, 6, 3, 2), Block(80, 6, 5))
    net = Separable(96, 96, (32, 16), blocks, features=256, classes=1000).build(7)
    names = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
    images = read_images([photographs / name for name in names], Preprocess((96, 96), resize_short=110))
    assert_runtime_agrees(net, images)


@pytest.mark.parametrize("x_signed", [False, True])
@pytest.mark.parametrize("sign", [1, -1])
def test_onnx_runtime_does_not_saturate(x_signed: bool, sign: int) -> None:
    """All codes and weights at their ends: pairs of products beyond int16, sums close to the ends of int32."""
    channels = 33000
    x = FeatureMap("image", (1, 1, channels), 8, x_signed, 1.0, 127 if x_signed else 0)
    output = FeatureMap("y", (1, 1, 2), 8, True)
    weight = np.full((2, 1, 1, channels), 255 if sign > 0 else 0, np.uint8)
    zero_point = np.full(2, 0 if sign > 0 else 255, np.int16)
    code = -128 if x_signed else 255
    total = channels * (-255 if x_signed else 255) * 255 * sign
    bias = np.array([-total, -total - 40], np.int64).astype(np.int32)
    how = Requantize(np.array([1], np.uint16), np.array([1], np.uint8), -128, 127)
    net = QNet("corner", x, (Conv("image", output, weight, 8, bias, how, zero_point),))
    images = np.full((2, 1, 1, channels), code, x.dtype)
    assert net.run(images).reshape(2, 2).tolist() == [[0, -20], [0, -20]]
    assert_runtime_agrees(net, images)


@settings(PER_TEST_FOLDER, max_examples=40)
@given(net=st.one_of(*map(operator_networks, OPERATOR_NETWORKS)), more=st.data())
def test_saving_and_loading_returns_every_field(tmp_path: Path, net: QNet, more: st.DataObject) -> None:
    table = st.tuples(*[st.integers(0, 255)] * 4)
    preprocess = st.builds(
        Preprocess,
        size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
        resize_short=st.none() | st.integers(300, 16384),
        interpolation=st.sampled_from(["nearest", "bilinear", "bicubic"]),
        table=st.none() | table.map(lambda codes: (codes * 64,) * 3),
    )
    label = st.text(max_size=5)
    labels = st.lists(label, min_size=net.output.shape[2], max_size=net.output.shape[2]).map(tuple)
    factor = more.draw(st.floats(1e-30, 1e30))
    net = QNet(
        more.draw(st.text(max_size=20)),
        replace(net.input, scale=net.input.scale * factor),
        tuple(replace(node, output=replace(node.output, scale=node.output.scale * factor)) for node in net.nodes),
        more.draw(st.none() | preprocess),
        more.draw(st.just(()) | labels),
    )
    save(net, tmp_path / "net.onnx")
    assert_same(net, load(tmp_path / "net.onnx"))


def test_a_whole_network_survives_the_file(tmp_path: Path) -> None:
    net = four_block_network(weight_bits=4)
    net.save(tmp_path / "net.onnx")
    assert_same(net, load(tmp_path / "net.onnx"))
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


@pytest.mark.parametrize("make", [four_block_network, every_operator_network])
def test_the_file_itself_is_a_standard_model(make: Callable[[], QNet], tmp_path: Path) -> None:
    """Stock ONNX Runtime runs the file as it lies on the disk, and ONNX's own checker finds no fault with it."""
    net = make()
    save(net, tmp_path / "net.onnx")
    onnx.checker.check_model(tmp_path / "net.onnx", full_check=True)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    assert [(end.name, end.type, end.shape) for end in session.get_inputs()] == [
        ("image", "tensor(uint8)", ["batch", *net.input.shape])
    ]
    images = random_codes(net, 5)
    (codes,) = session.run(None, {"image": images})
    assert np.array_equal(codes, net.run(images))


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    save(four_block_network(3), tmp_path / "a.onnx")
    save(four_block_network(3), tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_every_operator_is_in_the_tests() -> None:
    kinds = {kind.__name__ for kind in get_args(Node)}
    assert set(OPERATOR_NETWORKS) == set(SIGNATURES) == kinds
    assert {type(node).__name__ for node in every_operator_network().nodes} == kinds


def test_function_bodies_are_standard_operators_only() -> None:
    for op_type in SIGNATURES:
        assert {node.domain for node in function(op_type).node} == {""}, op_type


def test_names_that_clash_with_those_of_the_file(tmp_path: Path) -> None:
    """Feature maps may be called as the writer calls its own tensors."""
    x = FeatureMap("x", (1, 1, 1), 2)
    names = ("x.nchw", "y.values", "y", "x.nhwc", "y.nhwc")
    maps = [x, *(FeatureMap(name, (1, 1, 1), 2) for name in names)]
    values = np.array([3, 2, 1, 0], np.uint8)
    net = QNet("clash", x, tuple(Table(a.name, b, values) for a, b in itertools.pairwise(maps)))
    save(net, tmp_path / "net.onnx")
    assert_same(net, load(tmp_path / "net.onnx"))
    assert_runtime_agrees(net, np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1))


def test_numpy_numbers_are_taken_as_numbers(tmp_path: Path) -> None:
    """Who builds networks from arrays holds NumPy scalars; they must not change what is saved."""
    net = four_block_network()
    head = net.nodes[0]
    assert isinstance(head, Conv)
    output = replace(head.output, scale=np.float64(0.25), zero_point=(np.int64(0),), bits=np.int64(8))
    same = replace(head, output=output, weight_bits=np.int64(8), groups=np.int64(1), stride=(np.int64(2), np.int64(2)))
    same = QNet(net.name, net.input, (same, *net.nodes[1:]))
    save(same, tmp_path / "net.onnx")
    plain = replace(head, output=replace(head.output, scale=0.25))
    assert fingerprint(load(tmp_path / "net.onnx")) == fingerprint(replace(same, nodes=(plain, *net.nodes[1:])))


def test_fingerprint_is_of_what_is_computed() -> None:
    net = four_block_network()
    assert fingerprint(net) == fingerprint(four_block_network())
    assert fingerprint(net) == fingerprint(replace(net, name="other", labels=(), preprocess=None))
    assert len(fingerprint(net)) == 64
    last = net.nodes[-1]
    assert isinstance(last, Linear)
    bias = last.bias.copy()
    bias[3] += 1
    changes = [
        replace(last, bias=bias),
        replace(last, weight_bits=7, weight=last.weight // 2),
        replace(last, output=replace(last.output, scale=last.output.scale * (1 + 2**-52))),
        replace(last, requantize=replace(last.requantize, rounding="floor")),
    ]
    prints = {fingerprint(net), *(fingerprint(replace(net, nodes=(*net.nodes[:-1], node))) for node in changes)}
    assert len(prints) == len(changes) + 1
    assert fingerprint(replace(net, input=replace(net.input, zero_point=(124, 116, 105)))) not in prints


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeepDiveError, match=r"^Cannot write '.*/file/net\.onnx': "):
        save(four_block_network(), tmp_path / "file" / "net.onnx")


def test_numbers_of_the_model_are_those_of_the_network() -> None:
    """What a reader of the attributes (Netron, another compiler) sees."""
    net = four_block_network()
    stem = to_model(net).graph.node[1]
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in stem.attribute}
    first = net.nodes[0]
    assert isinstance(first, Conv)
    assert attributes == {
        "x_zero_point": [124, 116, 104],
        "strides": [2, 2],
        "pads": [1, 1, 1, 1],
        "group": 1,
        "weight_bits": 8,
        "q_min": 0,
        "q_max": 255,
        "rounding_offset": 0.5,
        "zero_point": 0,
        "bits": 8,
        "dtype": onnx.TensorProto.UINT8,
        "scale": repr(first.output.scale).encode(),
    }
