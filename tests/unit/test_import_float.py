"""Float ONNX files: read as PyTorch modules, held against ONNX Runtime, quantized as the module itself is."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch import nn
from typer.testing import CliRunner

import deepdive
from deepdive.cli import app
from deepdive.errors import CheckFailed, DeepDiveError, UnsupportedLayer
from deepdive.models.mobilenet_v2 import MobileNetV2
from deepdive.qnet import QNet
from deepdive.qnet.classify import logits_of
from deepdive.qnet.fingerprint import fingerprint
from deepdive.qnet.importers import FloatFile, Photographs, import_network
from deepdive.qnet.importers.onnx_source import parse_source
from deepdive.qnet.onnx_file import load
from deepdive.qnet.preprocess import Preprocess, read_images
from deepdive.quantization import quantize
from deepdive.quantization.from_onnx import Options, convert, import_float, quantize_file, read_float
from foreign_networks import Flattened, Separable, export_float, spread_statistics

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of twenty pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for index in range(20):
        pixels = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((40, 30), Image.Resampling.BICUBIC).save(folder / f"{index:02}.png")
    return folder


def photographs(pictures: Path, resize_short: int | None = None) -> Photographs:
    return Photographs(MEAN, STD, resize_short, "bilinear", tuple(sorted(pictures.iterdir())))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "mobilenet v2": lambda: MobileNetV2(num_classes=10, width=0.25),
    "relu": lambda: Separable(nn.ReLU()),
    "hard-swish": lambda: Separable(nn.Hardswish()),
    "swish": lambda: Separable(nn.SiLU()),
    "leaky": lambda: Separable(nn.LeakyReLU(0.1)),
    "flattened": Flattened,
}


def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    module = NETWORKS[name]()
    spread_statistics(module)
    return module


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_is_quantized_as_its_module(pictures: Path, tmp_path: Path, name: str, opset: int) -> None:
    """Batch norms kept by the exporter: the same float numbers, so the same codes in every map."""
    module = made(name)
    export_float(module, tmp_path / "float.onnx", opset=opset, training=torch.onnx.TrainingMode.PRESERVE)
    net = import_float(tmp_path / "float.onnx", Options(photographs(pictures), 6, 5)).net
    images = read_images(sorted(pictures.iterdir()), Preprocess((16, 16), None, "bilinear"))
    mean, std = (tuple(255 * one for one in part) for part in (MEAN, STD))
    if isinstance(module, Flattened):
        module.without_softmax = True
    direct = quantize(module, images, 6, 5, mean=mean, std=std)
    found, wanted = net.run(images, every=True), direct.run(images, every=True)
    assert isinstance(found, dict)
    assert isinstance(wanted, dict)
    if opset == 11 and name == "hard-swish":  # spelled out by the exporter, in other float sums
        assert all((codes == other).mean() > 0.97 for codes, other in zip(found.values(), wanted.values(), strict=True))
        return
    assert [type(node) for node in net.nodes] == [type(node) for node in direct.nodes]
    for (ours, codes), (theirs, other) in zip(found.items(), wanted.items(), strict=True):
        assert np.array_equal(codes, other), (ours, theirs)


@pytest.mark.parametrize("name", NETWORKS)
def test_folded_files_answer_as_before(pictures: Path, tmp_path: Path, name: str) -> None:
    """As an exporter writes them by default; `import_float` holds the module against ONNX Runtime."""
    export_float(made(name), tmp_path / "float.onnx")
    imported = import_float(tmp_path / "float.onnx", Options(photographs(pictures, 20)))
    net = imported.net
    assert imported.source == "float ONNX"
    assert imported.notes[0].startswith("Quantized to W8A8 by the quantizer of PyTorch modules, with ranges from 20")
    assert net.preprocess == Preprocess((16, 16), 20, "bilinear")
    codes = read_images(sorted(pictures.iterdir()), net.preprocess)
    ours, theirs = logits_of(net, codes), run_float(tmp_path / "float.onnx", photographs(pictures), codes)
    if name == "flattened":  # the softmax at the end is left out
        assert "The softmax at the end is left out: the largest output stays the largest." in imported.notes
        ours = np.exp(ours) / np.exp(ours).sum(1, keepdims=True)
    equal = int((ours.argmax(axis=1) == theirs.argmax(axis=1)).sum())
    assert equal >= 18
    assert imported.notes[-1].endswith(f"in ONNX Runtime {onnxruntime.__version__} in {equal}.")
    assert np.abs(ours - theirs).mean() < 0.05 * np.abs(theirs).max()


@pytest.mark.parametrize("name", ["mobilenet v2", "hard-swish", "flattened"])
def test_files_of_the_new_exporter(pictures: Path, tmp_path: Path, name: str) -> None:
    pytest.importorskip("onnxscript")
    module, path = made(name), tmp_path / "float.onnx"
    torch.onnx.export(module, (torch.randn(1, 3, 16, 16),), str(path), dynamo=True, verbose=False, external_data=False)
    notes = import_float(path, Options(photographs(pictures))).notes
    assert int(notes[-1].removesuffix(".").split()[-1]) >= 18


def run_float(path: Path, how: Photographs, images: np.ndarray) -> np.ndarray:
    """The float network in ONNX Runtime."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    reals = np.ascontiguousarray(how.reals(images).transpose(0, 3, 1, 2))
    found: np.ndarray = session.run(None, {"x": reals})[0]
    return found


class Graph:
    """A hand-made graph on a picture `x`, (3, 8, 10)."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.numbers: list[TensorProto] = []
        self.rng = np.random.default_rng(0)

    def number(self, value: object, dtype: type = np.float32) -> str:
        self.numbers.append(numpy_helper.from_array(np.asarray(value, dtype), f"n{len(self.numbers)}"))
        return self.numbers[-1].name

    def op(self, op_type: str, *inputs: str, **attributes: object) -> str:
        name = f"{op_type.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [name], **attributes))
        return name

    def conv(self, x: str, channels: int = 3, out: int = 4, **attributes: object) -> str:
        shape = (out, channels, *attributes.get("kernel_shape", [1, 1]))  # type: ignore[misc]
        return self.op("Conv", x, self.number(self.rng.normal(size=shape)), self.number([0.1] * out), **attributes)

    def save(self, path: Path, output: str, opset: int = 17, batch: int | None = None) -> None:
        info = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch or "n", 3, 8, 10])]
        outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)]
        graph = helper.make_graph(self.nodes, "hand made", info, outputs, self.numbers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
        path.write_bytes(model.SerializeToString())


def mixed(op_type: str, value: object, *, first: bool = False) -> Callable[[Graph, str], str]:
    """Arithmetic with a constant."""

    def make(g: Graph, x: str) -> str:
        inputs = [x, g.number(value)]
        return g.op(op_type, *(inputs[::-1] if first else inputs))

    return make


def norm(g: Graph, x: str) -> str:
    parts = ([1.0, -0.5, 0.7, 0.3], [0.1] * 4, [0.2, 0.0, -0.1, 0.3], [1.0, 0.5, 2.0, 1.0])
    return g.op("BatchNormalization", x, *(g.number(part) for part in parts))


A_CHANNEL = np.array([0.5, -2.0, 1.5, 0.7]).reshape(1, 4, 1, 1)
BODIES: dict[str, Callable[[Graph, str], str]] = {
    **{op: lambda g, x, op=op: g.op(op, x) for op in ("Relu", "Sigmoid", "Tanh", "HardSwish", "Softplus", "Elu")},
    **{op: lambda g, x, op=op: g.op(op, x) for op in ("Neg", "Abs", "Exp", "Erf", "LeakyRelu", "HardSigmoid")},
    "Sqrt": lambda g, x: g.op("Sqrt", g.op("Relu", x)),
    "HardSigmoid of a sixth": lambda g, x: g.op("HardSigmoid", x, alpha=1 / 6, beta=0.5),
    "Clip": lambda g, x: g.op("Clip", x, g.number(-0.5), g.number(1.25)),
    "Clip below": lambda g, x: g.op("Clip", x, g.number(0.25)),
    "Max": mixed("Max", 0.0),
    "Min": mixed("Min", 0.5),
    "PRelu": mixed("PRelu", [[[0.2]]]),
    "Add": mixed("Add", 0.75),
    "Sub": mixed("Sub", 0.75),
    "Sub the other way": mixed("Sub", 0.75, first=True),
    "Mul": mixed("Mul", -1.5),
    "Div": mixed("Div", 3.0),
    "Div the other way": lambda g, x: mixed("Div", 3.0, first=True)(g, g.op("Exp", x)),
    "Add a channel": mixed("Add", A_CHANNEL),
    "Mul a channel": mixed("Mul", A_CHANNEL[0]),
    "Mul a channel of what others read": lambda g, x: g.op("Add", mixed("Mul", A_CHANNEL)(g, x), x),
    "Mul a channel of an activation": lambda g, x: mixed("Mul", A_CHANNEL)(g, g.op("Sigmoid", x)),
    "Identity": lambda g, x: g.op("Add", mixed("Mul", 2.0)(g, g.op("Identity", x)), g.op("Relu", x)),
    "BatchNormalization": norm,
    "BatchNormalization twice": lambda g, x: norm(g, norm(g, x)),
    "BatchNormalization of a sum": lambda g, x: norm(g, g.op("Add", x, g.op("Relu", x))),
    "Sum": lambda g, x: g.op("Sum", x, g.op("Sigmoid", x)),
    "Mul of two": lambda g, x: g.op("Mul", x, g.op("Sigmoid", x)),
    "squeeze-excite": lambda g, x: g.op("Mul", g.op("Sigmoid", g.conv(g.op("GlobalAveragePool", x), 4)), x),
    "Conv padded": lambda g, x: g.conv(x, 4, kernel_shape=[3, 3], pads=[1, 0, 2, 1], strides=[2, 1]),
    "Conv same": lambda g, x: g.conv(x, 4, kernel_shape=[3, 3], auto_pad="SAME_LOWER", strides=[2, 2]),
    "Conv grouped": lambda g, x: g.conv(x, 2, kernel_shape=[3, 3], group=2),
    "MaxPool": lambda g, x: g.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 1, 1, 0]),
    "MaxPool ceil": lambda g, x: g.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "AveragePool": lambda g, x: g.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2]),
    "AveragePool inside": lambda g, x: g.op("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4),
    "AveragePool same": lambda g, x: g.op("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    "AveragePool counts": lambda g, x: g.op(
        "AveragePool", x, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 0, 1], count_include_pad=1
    ),
    "GlobalMaxPool": lambda g, x: g.op("GlobalMaxPool", x),
    "ReduceMean": lambda g, x: g.op("ReduceMean", x, axes=[-1, -2], keepdims=1),
    "Pad": lambda g, x: g.op(
        "MaxPool", g.op("Pad", x, g.number([0, 0, 1, 0, 0, 0, 0, 2], np.int64)), kernel_shape=[2, 2]
    ),
    "Pad below all": lambda g, x: g.op(
        "MaxPool",
        g.op("Pad", x, g.number([0, 0, 1, 0, 0, 0, 0, 1], np.int64), g.number(-np.inf)),
        kernel_shape=[2, 2],
    ),
    "Concat": lambda g, x: g.op("Concat", x, g.op("Relu", x), g.op("Tanh", x), axis=1),
    "Transpose": lambda g, x: g.op("Transpose", x, perm=[0, 1, 2, 3]),
    "Squeeze": lambda g, x: g.op(
        "Unsqueeze",
        g.op("Squeeze", g.op("GlobalAveragePool", x), g.number([2, 3], np.int64)),
        g.number([2, 3], np.int64),
    ),
    "Reshape by Shape": lambda g, x: g.op(
        "Gemm",
        g.op(
            "Reshape",
            x,
            g.op(
                "Concat",
                g.op("Unsqueeze", g.op("Gather", g.op("Shape", x), g.number(0, np.int64)), g.number([0], np.int64)),
                g.number([-1], np.int64),
                axis=0,
            ),
        ),
        g.number(g.rng.normal(size=(320, 5))),
        g.number([[0.5] * 5]),
        alpha=0.5,
        beta=2.0,
    ),
    "MatMul": lambda g, x: mixed("Add", [0.1] * 6)(
        g, g.op("MatMul", g.op("Flatten", g.op("GlobalAveragePool", x)), g.number(g.rng.normal(size=(4, 6))))
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_operators_compute_what_onnx_runtime_computes(pictures: Path, tmp_path: Path, name: str) -> None:
    graph = Graph()
    graph.save(tmp_path / "float.onnx", BODIES[name](graph, graph.conv("x")), batch=1)
    network = read_float(tmp_path / "float.onnx")
    images = read_images(sorted(pictures.iterdir())[:1], Preprocess((8, 10), None, "bilinear"))
    reals = np.ascontiguousarray(photographs(pictures).reals(images).transpose(0, 3, 1, 2))
    session = onnxruntime.InferenceSession(tmp_path / "float.onnx", providers=["CPUExecutionProvider"])
    wanted = session.run(None, {"x": reals})[0]
    with torch.no_grad():
        found = network.module(torch.from_numpy(reals)).numpy()
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()
    imported = import_float(tmp_path / "float.onnx", Options(photographs(pictures)))
    codes = imported.net.run(images)
    assert isinstance(codes, np.ndarray)
    real = imported.net.output.dequantize(codes).transpose(0, 3, 1, 2).reshape(wanted.shape)
    assert np.abs(real - wanted).mean() < 0.03 * max(np.ptp(wanted), 1e-6)


@pytest.mark.parametrize("first", [("Sub", "Div"), ("Div", "Sub"), ("Mul", "Add")])
def test_what_a_graph_does_to_its_pixels_is_folded(pictures: Path, tmp_path: Path, first: Sequence[str]) -> None:
    """A network that takes pixels 0..255 and normalises them itself is a network that is told mean and std."""
    mean, std = np.array([120.0, 110, 100]).reshape(1, 3, 1, 1), np.array([60.0, 50, 55]).reshape(1, 3, 1, 1)
    constants = {
        ("Sub", "Div"): (mean, std),
        ("Div", "Sub"): (std, mean / std),
        ("Mul", "Add"): (1 / std, -mean / std),
    }[tuple(first)]  # type: ignore[index]
    graph = Graph()
    x = "x"
    for op_type, numbers in zip(first, constants, strict=True):
        x = mixed(op_type, numbers)(graph, x)
    graph.save(tmp_path / "whole.onnx", graph.op("Relu", graph.conv(x, kernel_shape=[3, 3], pads=[1, 1, 1, 1])))
    plain = Graph()
    plain.save(tmp_path / "plain.onnx", plain.op("Relu", plain.conv("x", kernel_shape=[3, 3], pads=[1, 1, 1, 1])))
    files = tuple(sorted(pictures.iterdir()))
    pixels = Photographs((0.0, 0.0, 0.0), (0.00392157, 0.00392157, 0.00392157), None, "bilinear", files)
    told = Photographs(tuple(mean.reshape(-1) / 255), tuple(std.reshape(-1) / 255), None, "bilinear", files)
    nets = [
        import_float(tmp_path / name, Options(how)).net for name, how in (("whole.onnx", pixels), ("plain.onnx", told))
    ]
    assert [net.input.zero_point for net in nets] == [(120, 110, 100)] * 2
    images = read_images(list(files), Preprocess((8, 10), None, "bilinear"))
    ours, other = (net.run(images) for net in nets)
    assert isinstance(ours, np.ndarray)
    assert (ours == other).mean() > 0.99


REFUSED: dict[str, tuple[Callable[[Graph, str], str], str]] = {
    "unknown": (lambda g, x: g.op("Resize", x), "(Resize): the operator is not imported"),
    "dilated": (lambda g, x: g.conv(x, 4, kernel_shape=[3, 3], dilations=[2, 2]), "its window is dilated"),
    "channels": (lambda g, x: g.conv(x, 5), "its weight (4, 5, 1, 1) with 1 groups does not fit 4 channels"),
    "NaN": (mixed("Mul", np.nan), "its constant holds numbers that are not finite"),
    "zero": (mixed("Div", 0.0), "it divides by zero"),
    "clip": (lambda g, x: g.op("Clip", x, g.number(2), g.number(1)), "it clips to 2.0..1.0"),
    "variance": (
        lambda g, x: g.op("BatchNormalization", x, *(g.number([one] * 4) for one in (1, 0, 0, -1))),
        "its variance is negative or no number",
    ),
    "huge": (
        lambda g, x: g.op("Pad", g.conv(x, 4, 64), g.number([0, 0, 4000, 4000, 0, 0, 0, 0], np.int64)),
        "its output (64, 4008, 4010) is too large; at most 16777216 values",
    ),
    "transposed": (lambda g, x: g.op("Transpose", x, perm=[0, 2, 3, 1]), "export the network with channels first"),
    "reflected": (
        lambda g, x: g.op("Pad", x, g.number([0, 0, 1, 1, 0, 0, 1, 1], np.int64), mode="reflect"),
        "it pads with something else than a constant",
    ),
    "maps": (
        lambda g, x: g.op("Sub", x, g.op("Relu", x)),
        "of maps (4, 8, 10) and (4, 8, 10) it is not imported",
    ),
    "alone": (lambda g, x: g.op("Exp", g.number([1.0])), "it computes nothing from its input"),
    "second": (lambda g, x: g.op("MaxPool", "x", kernel_shape=[2, 2]), "reads the raw pixels"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_integer_form_is_refused_by_name(pictures: Path, tmp_path: Path, name: str) -> None:
    body, words = REFUSED[name]
    graph, path = Graph(), tmp_path / "float.onnx"
    graph.save(path, body(graph, graph.conv("x")))
    with pytest.raises(DeepDiveError) as caught:
        import_float(path, Options(photographs(pictures)))
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"Cannot import '{path}': ")


def test_inputs_that_are_no_pictures_are_refused(pictures: Path, tmp_path: Path) -> None:
    graph, path = Graph(), tmp_path / "float.onnx"
    graph.save(path, graph.conv("x"), batch=3)
    with pytest.raises(DeepDiveError, match="is no RGB picture with a batch that is free or one"):
        import_float(path, Options(photographs(pictures)))
    graph.save(path, graph.conv("x"))
    with pytest.raises(DeepDiveError, match="there are no pictures to choose ranges with"):
        import_float(path, Options(Photographs()))
    with pytest.raises(DeepDiveError, match=r"it wants mean 0, 0, 0 and std 0\.255, 0\.255, 0\.255"):
        import_float(path, Options(Photographs(std=(0.001,) * 3, pictures=tuple(pictures.iterdir()))))


def test_a_module_that_computes_something_else_is_refused(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, path = Graph(), tmp_path / "float.onnx"
    graph.save(path, graph.op("Relu", graph.conv("x")))
    right = convert(parse_source(path.read_bytes()))
    right.module.get_parameter("n0.weight" if hasattr(right.module, "n0") else "conv0.weight").data[0] += 0.1
    monkeypatch.setattr(quantize_file, "convert", lambda source: right)
    with pytest.raises(CheckFailed, match="read as a module it differs from ONNX Runtime by"):
        import_float(path, Options(photographs(pictures)))


def test_names_of_python_and_of_modules_are_no_trouble(pictures: Path, tmp_path: Path) -> None:
    graph, path = Graph(), tmp_path / "float.onnx"
    graph.save(path, graph.op("Relu", graph.conv(graph.op("Relu", graph.conv("x")), 4)))
    model = onnx.load(path)
    for number, name in zip(model.graph.initializer[::2], ("class.weight", "training.weight"), strict=True):
        for node in model.graph.node:
            for index, read in enumerate(node.input):
                if read == number.name:
                    node.input[index] = name
        number.name = name
    onnx.save(model, path)
    net = import_float(path, Options(photographs(pictures))).net
    assert [node.name for node in net.nodes] == ["class_layer", "training_layer"]


@pytest.mark.parametrize("command", ["import", "quantize"])
def test_the_commands_take_pictures_mean_std_and_bits(pictures: Path, tmp_path: Path, command: str) -> None:
    export_float(made("relu"), tmp_path / "float.onnx")
    option = "--calibration" if command == "import" else "--images"
    arguments = [command, str(tmp_path / "float.onnx"), "-o", str(tmp_path / "net.onnx"), option, str(pictures)]
    arguments += ["--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25", "--weights", "4", "--activations", "6", "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["source"] == "float ONNX"
    assert told["notes"][0].startswith("Quantized to W4A6 by the quantizer of PyTorch modules")
    net = load(tmp_path / "net.onnx")
    assert net.preprocess == Preprocess((16, 16), None, "bilinear")
    assert net.input.zero_point == (128, 128, 128)
    assert net.nodes[1].output.bits == 6


def test_bits_of_files_that_are_quantized_are_not_chosen(pictures: Path, tmp_path: Path) -> None:
    from victims import qdq_file

    (tmp_path / "qdq.onnx").write_bytes(qdq_file())
    done = CliRunner().invoke(app, ["import", str(tmp_path / "qdq.onnx"), "-o", "x.onnx", "--weights", "4"])
    assert "is quantized already; leave out --weights and --activations." in str(done.exception)
    arguments = ["quantize", "x.onnx", "-o", "y.onnx", "--images", str(pictures)]
    done = CliRunner().invoke(app, [*arguments, "--width", "0.5"])
    assert str(done.exception) == "'x.onnx' brings weights and sizes; leave out the options that choose them."
    done = CliRunner().invoke(app, ["quantize", "mobilenet_v2", *arguments[2:], "--mean", "0,0,0"])
    assert str(done.exception) == "'mobilenet_v2' knows its --mean, --std and --resize-short; leave them out."


def test_python_imports_and_loads(pictures: Path, tmp_path: Path) -> None:
    export_float(made("relu"), tmp_path / "float.onnx")
    with pytest.raises(FloatFile, match="it is a float network; give pictures with --images"):
        deepdive.load(tmp_path / "float.onnx")
    with pytest.raises(FloatFile):
        import_network(tmp_path / "float.onnx", photographs=Photographs(MEAN, STD))
    net = deepdive.import_(tmp_path / "float.onnx", photographs=photographs(pictures), weights=5)
    assert isinstance(net, QNet)
    net.save(tmp_path / "net.onnx")
    assert fingerprint(deepdive.load(tmp_path / "net.onnx")) == fingerprint(net)
    with pytest.raises(DeepDiveError, match=r"Cannot load '.*none\.onnx': there is no such file"):
        deepdive.load(tmp_path / "none.onnx")


def test_numbers_that_are_none_are_refused(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(DeepDiveError, match="std positive"):
        Photographs(std=(1.0, 0.0, 1.0))
    done = CliRunner().invoke(app, ["import", str(pictures), "-o", str(tmp_path / "net.onnx"), "--mean", "1,2"])
    assert str(done.exception) == "--mean '1,2' is not three numbers such as 0.485,0.456,0.406."


def test_unsupported_layers_keep_their_kind(pictures: Path, tmp_path: Path) -> None:
    graph = Graph()
    graph.save(tmp_path / "float.onnx", graph.op("Resize", graph.conv("x")))
    with pytest.raises(UnsupportedLayer, match="did you mean 'Reshape'"):
        read_float(tmp_path / "float.onnx")
