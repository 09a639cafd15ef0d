"""Files of strangers: whatever is in them, `load` gives a whole network or one sentence, never a traceback."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from deepdive.errors import DeepDiveError
from deepdive.qnet import QNet, onnx_file, onnx_size
from deepdive.qnet.fingerprint import fingerprint
from deepdive.qnet.onnx_file import load
from deepdive.qnet.onnx_writer import to_model
from networks import every_operator_network, four_block_network

PER_TEST_FOLDER = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
VICTIM = every_operator_network()
DATA = to_model(VICTIM).SerializeToString(deterministic=True)


def load_bytes(data: bytes, folder: Path) -> QNet | str:
    """The network, or the sentence that refuses it; any other exception fails the test."""
    path = folder / "net.onnx"
    path.write_bytes(data)
    try:
        return load(path)
    except DeepDiveError as error:
        message = str(error)
        assert message.startswith(f"Cannot load '{path}': ")
        assert message.isprintable()
        return message.removeprefix(f"Cannot load '{path}': ")


def refuse(edit: Callable[[onnx.ModelProto], object], folder: Path) -> str:
    """Why the victim is refused after `edit`."""
    model = onnx.ModelProto.FromString(DATA)
    edit(model)
    result = load_bytes(model.SerializeToString(), folder)
    assert isinstance(result, str)
    return result


def node(model: onnx.ModelProto, name: str = "stem") -> onnx.NodeProto:
    (found,) = (node for node in model.graph.node if node.name == name)
    return found


def attribute(model: onnx.ModelProto, name: str, of: str = "stem") -> onnx.AttributeProto:
    (found,) = (attribute for attribute in node(model, of).attribute if attribute.name == name)
    return found


def initializer(model: onnx.ModelProto, name: str) -> TensorProto:
    (found,) = (tensor for tensor in model.graph.initializer if tensor.name == name)
    return found


def test_the_victim_is_sound(tmp_path: Path) -> None:
    result = load_bytes(DATA, tmp_path)
    assert isinstance(result, QNet)
    assert fingerprint(result) == fingerprint(VICTIM)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    for length in range(0, len(DATA), 31):
        assert isinstance(load_bytes(DATA[:length], tmp_path), str), length


@settings(PER_TEST_FOLDER, max_examples=300)
@given(position=st.integers(0, len(DATA) - 1), flip=st.integers(1, 255))
def test_a_flipped_byte_changes_nothing_or_is_found_out(tmp_path: Path, position: int, flip: int) -> None:
    mutant = bytearray(DATA)
    mutant[position] ^= flip
    result = load_bytes(bytes(mutant), tmp_path)
    assert isinstance(result, str) or fingerprint(result) == fingerprint(VICTIM)


@settings(PER_TEST_FOLDER, max_examples=200)
@given(
    cut=st.tuples(st.integers(0, len(DATA)), st.integers(0, 200)),
    paste=st.binary(max_size=20) | st.tuples(st.integers(0, len(DATA)), st.integers(0, 200)),
)
def test_cut_and_pasted_bytes(tmp_path: Path, cut: tuple[int, int], paste: bytes | tuple[int, int]) -> None:
    start, length = cut
    piece = paste if isinstance(paste, bytes) else DATA[paste[0] : paste[0] + paste[1]]
    result = load_bytes(DATA[:start] + piece + DATA[start + length :], tmp_path)
    assert isinstance(result, str) or fingerprint(result) == fingerprint(VICTIM)


def messages(message: Any) -> Iterator[Any]:
    """A protobuf message and all within it."""
    yield message
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for part in value if field.is_repeated else [value]:
                yield from messages(part)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int": st.sampled_from([-(2**63), -(2**31), -1, 0, 1, 2, 3, 9, 255, 256, 2**31, 2**40, 2**63 - 1]),
    "float": st.sampled_from([0.0, 0.25, -1.0, float("nan"), float("inf")]),
    "string": st.sampled_from(["", "image", "stem", "nan", "inf", "-1", "1e999", "\u202e", "a\nb", "x" * 2000]),
    "bytes": st.sampled_from([b"", b"0.5", b"nan", b"\xff\xfe", b"9" * 5000]) | st.binary(max_size=8),
}


@st.composite
def mutants(draw: st.DrawFn) -> onnx.ModelProto:
    """The victim with one to three fields of its graph or metadata removed, repeated, moved or overwritten."""
    model = onnx.ModelProto.FromString(DATA)
    for _ in range(draw(st.integers(1, 3))):
        parts = [part for part in messages(model) if part.ListFields() and "Function" not in type(part).__name__]
        part = draw(st.sampled_from(parts))
        field, value = draw(st.sampled_from(part.ListFields()))
        kind = {
            field.CPPTYPE_FLOAT: "float",
            field.CPPTYPE_STRING: "bytes" if field.type == field.TYPE_BYTES else "string",
            field.CPPTYPE_MESSAGE: "message",
        }.get(field.cpp_type, "int")
        action = draw(st.sampled_from(["clear", "overwrite", "repeat", "move"]))
        try:
            if action == "clear":
                part.ClearField(field.name)
            elif action == "overwrite" and kind != "message":
                drawn = draw(VALUES[kind])
                if field.is_repeated:
                    value[draw(st.integers(0, len(value) - 1))] = drawn
                else:
                    setattr(part, field.name, drawn)
            elif field.is_repeated and action == "repeat":
                value.append(value[draw(st.integers(0, len(value) - 1))])
            elif field.is_repeated:
                value.append(value.pop(draw(st.integers(0, len(value) - 1))))
        except ValueError:
            pass  # beyond the field's own range
    return model


@settings(PER_TEST_FOLDER, max_examples=200)
@given(model=mutants())
def test_mutated_models(tmp_path: Path, model: onnx.ModelProto) -> None:
    result = load_bytes(model.SerializeToString(), tmp_path)
    assert isinstance(result, str) or fingerprint(result) == fingerprint(VICTIM)


@settings(PER_TEST_FOLDER, max_examples=100)
@given(data=st.binary(max_size=200))
def test_random_bytes_are_no_network(tmp_path: Path, data: bytes) -> None:
    assert isinstance(load_bytes(data, tmp_path), str)


EDITS: dict[str, tuple[Callable[[onnx.ModelProto], object], str]] = {
    "no header": (
        lambda m: m.ClearField("metadata_props"),
        "it is no DeepDive network (or cut short); turn other ONNX files into one with 'deepdive import'.",
    ),
    "later format": (
        lambda m: setattr(m.metadata_props[0], "value", m.metadata_props[0].value.replace('"format":1', '"format":2')),
        "its format is 2; this version of DeepDive reads format 1.",
    ),
    "bits of the input": (
        lambda m: setattr(m.metadata_props[0], "value", m.metadata_props[0].value.replace('"bits":8', '"bits":9')),
        "Feature map 'image' has 9 bits; choose 2 to 8.",
    ),
    "header of a wrong type": (
        lambda m: setattr(m.metadata_props[0], "value", m.metadata_props[0].value.replace('"bits":8', '"bits":"8"')),
        "its header is wrong at 'input.bits': Input should be a valid integer.",
    ),
    "header nested too deeply": (
        lambda m: setattr(m.metadata_props[0], "value", "[" * 100_000),
        "its header is no JSON.",
    ),
    "weights in another file": (
        lambda m: setattr(initializer(m, "stem.weight"), "data_location", TensorProto.EXTERNAL),
        "initializer 'stem.weight' lies in another file; DeepDive reads none.",
    ),
    "path of weights": (
        lambda m: initializer(m, "stem.weight").external_data.add(key="location", value="../../etc/passwd"),
        "initializer 'stem.weight' lies in another file; DeepDive reads none.",
    ),
    "absurd shape": (
        lambda m: initializer(m, "stem.weight").dims.__setitem__(0, 2**40),
        f"initializer 'stem.weight' has shape ({2**40}, 3, 3, 3); want at most 4 dimensions and {2**28} elements.",
    ),
    "shape that overflows": (
        lambda m: initializer(m, "stem.weight").dims.__setitem__(slice(0, 4), [2**28] * 4),
        f"initializer 'stem.weight' has shape ({2**28}, {2**28}, {2**28}, {2**28}); "
        f"want at most 4 dimensions and {2**28} elements.",
    ),
    "shape larger than the bytes": (
        lambda m: initializer(m, "stem.weight").dims.__setitem__(0, 2**20),
        f"initializer 'stem.weight' has 54 bytes, which do not fit its shape ({2**20}, 3, 3, 3).",
    ),
    "strings as weights": (
        lambda m: setattr(initializer(m, "stem.weight"), "data_type", TensorProto.STRING),
        "initializer 'stem.weight' has element type 8; want one of [2, 3, 4, 5, 6].",
    ),
    "floats as weights": (
        lambda m: initializer(m, "stem.weight").MergeFrom(TensorProto(data_type=TensorProto.FLOAT)),
        "initializer 'stem.weight' has element type 1; want one of [2, 3, 4, 5, 6].",
    ),
    "two initializers of one name": (
        lambda m: m.graph.initializer.append(m.graph.initializer[0]),
        "two initializers are named 'stem.weight'.",
    ),
    "an initializer nobody reads": (
        lambda m: m.graph.initializer.append(helper.make_tensor("spare", TensorProto.INT8, [1], b"\0", raw=True)),
        "nobody reads initializer 'spare'.",
    ),
    "weights that are missing": (
        lambda m: m.graph.initializer.pop(0),
        "node 'stem' (Conv): its weight 'stem.weight' is missing or not of 4 dimensions.",
    ),
    "a cycle": (
        lambda m: node(m, "depthwise").input.__setitem__(0, "classifier"),
        "node 'depthwise' (Conv) reads 'classifier', which no earlier node writes.",
    ),
    "a node that reads itself": (
        lambda m: node(m, "depthwise").input.__setitem__(0, "depthwise"),
        "node 'depthwise' (Conv) reads 'depthwise', which no earlier node writes.",
    ),
    "two nodes of one name": (
        lambda m: node(m, "depthwise").output.__setitem__(0, "stem"),
        "two tensors are named 'stem'.",
    ),
    "unknown operator": (
        lambda m: setattr(node(m), "op_type", "Cov"),
        "node 'stem' (Cov) of domain 'deepdive' is no operator of DeepDive; did you mean 'Conv'? "
        "Known: Add, AvgPool, ChannelScale, Concat, Conv, Flatten, GlobalAvgPool, Linear, MaxPool, Pad, Table.",
    ),
    "unknown domain": (
        lambda m: setattr(node(m), "domain", "com.microsoft"),
        "node 'stem' (Conv) of domain 'com.microsoft' is no operator of DeepDive; did you mean 'Conv'? "
        "Known: Add, AvgPool, ChannelScale, Concat, Conv, Flatten, GlobalAvgPool, Linear, MaxPool, Pad, Table.",
    ),
    "function that computes something else": (
        lambda m: setattr(m.functions[4].node[0], "op_type", "Neg"),
        "its function 'Conv' is none of DeepDive's, or was changed.",
    ),
    "function that is missing": (lambda m: m.functions.pop(4), "its function 'Conv' is missing."),
    "another opset": (
        lambda m: setattr(m.opset_import[0], "version", 99),
        "it imports the operator sets [\"('', 99)\", \"('deepdive', 1)\"]; want [\"('', 18)\", \"('deepdive', 1)\"].",
    ),
    "scale that is no number": (
        lambda m: setattr(attribute(m, "scale"), "s", b"nan"),
        "Feature map 'stem' has scale nan; it must be finite and positive.",
    ),
    "scale that is a word": (
        lambda m: setattr(attribute(m, "scale"), "s", b"wide"),
        "node 'stem' (Conv): scale 'wide' is no number.",
    ),
    "zero point out of range": (
        lambda m: setattr(attribute(m, "zero_point"), "i", 300),
        "Feature map 'stem' has zero point 300 outside its codes 0..15.",
    ),
    "rounding that does not exist": (
        lambda m: setattr(attribute(m, "rounding_offset"), "f", 0.25),
        "node 'stem' (Conv): attribute 'rounding_offset' is 0.25; its inputs and output want 0.0.",
    ),
    "zero point that is not the input's": (
        lambda m: attribute(m, "x_zero_point").ints.__setitem__(0, 0),
        "node 'stem' (Conv): attribute 'x_zero_point' is [0, 116, 104]; its inputs and output want [124, 116, 104].",
    ),
    "attribute that is missing": (
        lambda m: node(m).attribute.remove(attribute(m, "group")),
        "node 'stem' (Conv): attribute 'group' is missing.",
    ),
    "attribute that is doubled": (
        lambda m: node(m).attribute.append(attribute(m, "group")),
        "node 'stem' (Conv): attribute 'group' is unknown, doubled or of a wrong type.",
    ),
    "strides that are none": (
        lambda m: attribute(m, "strides").ClearField("ints"),
        "node 'stem' (Conv): attribute 'strides' has 0 numbers; want 2.",
    ),
    "groups by the billion": (
        lambda m: setattr(attribute(m, "group"), "i", 2**62),
        f"'stem': weight (2, 3, 3, 3) with {2**62} groups does not fit 3 input channels.",
    ),
    "stride zero": (
        lambda m: attribute(m, "strides").ints.__setitem__(0, 0),
        "'stem': stride (0, 1) and padding (1, 1, 1, 1) must be >= 1 and >= 0.",
    ),
    "feature map as large as the sea": (
        lambda m: setattr(m.graph.value_info[1].type.tensor_type.shape.dim[2], "dim_value", 2**60),
        f"Feature map 'stem' has {2**60 * 2 * 4} elements; at most {2**28} are allowed.",
    ),
    "name that plays with the terminal": (
        lambda m: node(m).output.__setitem__(0, "\x1b[2J"),
        "a tensor is named '\\x1b[2J'; want 1 to 1000 printable characters.",
    ),
    "weight that was changed": (
        lambda m: setattr(initializer(m, "stem.weight"), "raw_data", bytes(54)),
        "its contents do not match its fingerprint: it was damaged or changed; write it anew.",
    ),
    "no entry": (
        lambda m: m.graph.node.pop(0),
        "its first and last nodes must turn NHWC to NCHW and back; the one on 'image' does not.",
    ),
    "no nodes": (lambda m: m.graph.ClearField("node"), "it has 0 nodes; want 3 to 10000."),
    "another input": (
        lambda m: m.graph.input.append(m.graph.input[0]),
        "the graph's input must be 'image' alone, not ['image', 'image'].",
    ),
}


@pytest.mark.parametrize("case", EDITS)
def test_the_reason_is_named(case: str, tmp_path: Path) -> None:
    edit, wanted = EDITS[case]
    assert refuse(edit, tmp_path) == wanted


def test_an_ordinary_onnx_model_is_pointed_to_the_importer(tmp_path: Path) -> None:
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", info[:1], info[1:])
    assert load_bytes(helper.make_model(graph).SerializeToString(), tmp_path) == EDITS["no header"][1]


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # reading it would wait for ever
    for name, reason in (
        ("nothing.onnx", "there is no such file; check the path."),
        ("", "it is no file."),
        ("pipe", "it is no file."),
    ):
        with pytest.raises(DeepDiveError) as caught:
            load(tmp_path / name)
        assert str(caught.value) == f"Cannot load '{tmp_path / name}': {reason}"
    with pytest.raises(DeepDiveError) as caught:
        load("a\0b")
    assert str(caught.value) == "Cannot load 'a\\x00b': there is no such file; check the path."
    assert load_bytes(b"", tmp_path) == EDITS["no header"][1]
    assert load_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100), tmp_path).startswith("it is no ONNX model")  # type: ignore[union-attr]


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "MAX_FILE_BYTES", 1000)
    assert load_bytes(DATA, tmp_path) == f"it has {len(DATA)} bytes; at most 1000 are read."
    with pytest.raises(DeepDiveError, match=r"^Network 'four blocks' takes \d+ bytes; a file may have 1000\.$"):
        onnx_file.save(four_block_network(), tmp_path / "big.onnx")
    assert not (tmp_path / "big.onnx").exists()


def field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    length, size = len(content), b""
    while length > 127:
        length, size = length >> 7, size + bytes([length & 127 | 128])
    return bytes([number << 3 | 2]) + size + bytes([length]) + content


@pytest.mark.parametrize(
    "bomb",
    [
        field(onnx_size.GRAPH, b"\x0a\x00" * (8 << 20)),
        field(onnx_size.GRAPH, b"\x2a\x00" * (8 << 20)),
        field(onnx_size.GRAPH, field(onnx_size.INITIALIZER, b"\x4a\x00" * (4 << 20)) * 2),
        b"\x3a\x00" * (8 << 20),
        field(onnx_size.GRAPH, field(5, field(onnx_size.RAW_DATA, bytes(1000)) + field(5, bytes(5 << 20)))),
    ],
    ids=["empty nodes", "empty initializers", "empty tensors' bytes", "empty graphs", "numbers beside the raw data"],
)
def test_a_small_file_cannot_fill_the_memory(bomb: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded, a message takes up to a hundred times its bytes: such files are refused before they are decoded."""

    def decode(data: bytes) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(onnx.ModelProto, "FromString", decode)
    start = time.monotonic()
    result = load_bytes(bomb, tmp_path)
    assert result == "it holds more than 4194304 bytes that are not weights; it is no DeepDive network."
    assert time.monotonic() - start < 20


def test_weights_do_not_count_as_structure() -> None:
    weights = field(onnx_size.INITIALIZER, field(onnx_size.RAW_DATA, bytes(6 << 20)))
    onnx_size.check_structure(field(onnx_size.GRAPH, weights * 2))
