"""The paper's published MobileNetV2, imported: equal to the authors' C++ in every feature map."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import deepdive
from deepdive.errors import DeepDiveError
from deepdive.qnet import QNet, Table
from deepdive.qnet.classify import best, logits_of
from deepdive.qnet.importers import import_network
from deepdive.qnet.importers.paper_files import FILES, read_files
from deepdive.qnet.importers.paper_layers import paper_layers
from deepdive.qnet.onnx_file import load
from deepdive.qnet.preprocess import read_images
from deepdive.qnet.witness import run_onnx_runtime

# Channel 589 of body 15's expansion is shifted by 32 bits, which C leaves undefined; nothing reads it.
DEAD_MAP, DEAD_CHANNEL = "body15_exp", 589
SHIPPED_NAMES = {"out_linear": "logits", "out_avg": "pool", "out_pws": "tail_map"}


@pytest.fixture(scope="module")
def paper(shared: Path) -> Path:
    return shared / "paper"


@pytest.fixture(scope="module")
def net(paper: Path) -> QNet:
    return deepdive.import_(paper)


def test_every_map_of_the_cat_equals_the_authors_cpp(paper: Path, net: QNet) -> None:
    golden = np.load(paper / "golden" / "cat.npz", allow_pickle=False)
    maps = net.run(golden["input"][None], every=True)
    assert isinstance(maps, dict)
    assert len(golden.files) == 65
    for name in golden.files:
        found, wanted = maps[name][0], golden[name]
        if name == DEAD_MAP:
            found, wanted = (np.delete(codes, DEAD_CHANNEL, axis=-1) for codes in (found, wanted))
        assert np.array_equal(found, wanted), name


def test_every_shipped_map_equals_the_authors(paper: Path, net: QNet) -> None:
    image = np.load(paper / "parameters" / "image160_quant_flat_channel.npy", allow_pickle=False) + 114
    maps = net.run(image.astype(np.uint8), every=True)
    assert isinstance(maps, dict)
    shipped = sorted((paper / "golden").glob("out_*.npy"))
    assert len(shipped) == 20
    for path in shipped:
        name = SHIPPED_NAMES.get(path.stem, path.stem.removeprefix("out_"))
        wanted = np.load(path, allow_pickle=False).transpose(1, 2, 0)  # theirs are CHW
        assert np.array_equal(maps[name][0], wanted), name


def test_a_photograph_becomes_the_authors_input_and_their_answer(paper: Path, net: QNet) -> None:
    assert net.preprocess is not None
    codes = read_images([paper / "cat.jpg"], net.preprocess)
    golden = np.load(paper / "golden" / "cat.npz", allow_pickle=False)
    assert np.array_equal(codes[0], golden["input"])
    five = best(logits_of(net, codes)[0], net.labels)
    wanted = {"tabby, tabby cat", "lynx, catamount", "tiger cat", "Persian cat", "window screen"}
    assert five[0].label == "tabby, tabby cat"
    assert round(five[0].probability, 4) == 0.3499
    assert {guess.label for guess in five} == wanted


def test_onnx_runtime_computes_the_same_from_the_file(paper: Path, net: QNet, tmp_path: Path) -> None:
    net.save(tmp_path / "net.onnx")
    loaded = load(tmp_path / "net.onnx")
    assert (loaded.preprocess, loaded.labels) == (net.preprocess, net.labels)
    codes = np.load(paper / "golden" / "cat.npz", allow_pickle=False)["input"][None]
    reference = net.run(codes, every=True)
    assert isinstance(reference, dict)
    for name, found in run_onnx_runtime(loaded, codes).items():
        assert np.array_equal(found, reference[name]), name


def test_repair_mends_what_it_says(paper: Path, net: QNet) -> None:
    imported = import_network(paper, repair=True)
    repaired = imported.net
    assert len(imported.notes) == 4
    assert not any(node.name.endswith("_wrapped") for node in repaired.nodes)
    assert sum(isinstance(node, Table) and node.name.endswith("_wrapped") for node in net.nodes) == 17
    assert [net.maps["body15_add"].zero_point, repaired.maps["body15_add"].zero_point] == [143, 144]
    biases = [{node.name: getattr(node, "bias", None) for node in one.nodes} for one in (net, repaired)]
    changed = [name for name in biases[1] if not np.array_equal(biases[0][name], biases[1][name])]
    assert changed == ["body5_exp", "body16_exp"]
    assert repaired.preprocess is not None
    assert repaired.preprocess.resize_short == 182
    codes = read_images([paper / "cat.jpg"], repaired.preprocess)
    assert "cat" in best(logits_of(repaired, codes)[0], repaired.labels)[0].label


def test_layers_lie_where_the_layout_says(paper: Path) -> None:
    """Offsets derived from the architecture equal those found by reading the authors' sources."""
    layout = [entry for entry in json.loads((paper / "layout.json").read_text()) if "weight_offset" in entry]
    layers = list(paper_layers())
    assert len(layers) == len(layout) == 53
    zero_points = np.load(paper / "parameters" / "output_zp.npy", allow_pickle=False)
    for layer, entry in zip(layers, layout, strict=True):
        found = (layer.in_channels, layer.out_channels, layer.size, layer.stride, layer.channel, layer.weight)
        wanted = ("in_ch", "out_ch", "in_size", "stride", "bias_offset", "weight_offset")
        assert found == tuple(entry[key] for key in wanted), layer.name
        assert (layer.weight_bytes, zero_points[layer.zero]) == (entry["weight_bytes"], entry["out_zp"]), layer.name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound folder of the format: every shape right, random weights, no scale or shift that makes no sense."""
    rng = np.random.default_rng(0)
    target = tmp_path / "data"
    target.mkdir()
    arrays = {name: np.zeros(shape, dtype) for name, (dtype, shape) in FILES.items()}
    for name in ("weights_bit_8", "weights_bit_4", "weights_classifier"):
        arrays[name] = rng.integers(0, 256, arrays[name].shape, dtype=np.uint8)
    arrays["downScaling_iMult"][:] = 200
    arrays["downScaling_nShift"][:] = 16
    arrays["output_scale"][:] = 42.5
    arrays["skiplineparam"][:] = np.tile([200, 8, 180, 8], 30)
    arrays["weights_zp"][:] = 7
    for name, array in arrays.items():
        np.save(target / f"{name}.npy", array)
    return target


def refuse(folder: Path) -> str:
    with pytest.raises(DeepDiveError) as caught:
        deepdive.import_(folder)
    message = str(caught.value)
    assert message.startswith(f"Cannot import '{folder}': ")
    assert message.isprintable()
    return message


def test_a_folder_of_the_format_is_imported(folder: Path) -> None:
    net = deepdive.import_(folder.parent)
    assert net.macs() == 107_295_200
    assert net.output.shape == (1, 1, 1000)
    assert not net.labels


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "weights_zp.npy").unlink()
    assert f"'{folder / 'weights_zp.npy'}' is missing" in refuse(folder)


def test_another_folder_is_refused(tmp_path: Path) -> None:
    assert "does not hold the paper's parameter files (weights_bit_4.npy" in refuse(tmp_path)
    assert "there is no such file or folder" in refuse(tmp_path / "absent")


def test_pickled_arrays_are_never_opened(folder: Path) -> None:
    np.save(folder / "biases.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert "holds pickled Python objects, which are never opened" in refuse(folder)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros(14_319, np.uint8), "holds |u1(14319,); want |u1(14320,)"),
        (np.zeros((14_320, 1), np.uint8), "holds |u1(14320, 1); want |u1(14320,)"),
        (np.zeros(14_320, np.int16), "holds <i2(14320,); want |u1(14320,)"),
    ],
)
def test_another_shape_or_type_is_refused(folder: Path, array: np.ndarray, reason: str) -> None:
    np.save(folder / "biases.npy", array)
    assert reason in refuse(folder)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("output_scale", np.nan, "output_scale.npy: entry 0 is nan"),
        ("output_scale", 0, "output_scale.npy: entry 0 is 0.0"),
        ("nShif_biases_acc", -128, "'head_conv' shifts beyond 23 bits"),
        ("downScaling_nShift", 0, "'head_conv' shifts by 0; at least 1"),
        ("downScaling_nShift", 100, "'head_conv': shift 100..100 is outside 1..48"),
        ("skiplineparam", 255, "shifts by 255; at most 31"),
        ("weights_zp", 255, "a weight zero point lies outside the weight codes 0..15"),
    ],
)
def test_numbers_out_of_range_are_refused(folder: Path, name: str, value: float, reason: str) -> None:
    array = np.load(folder / f"{name}.npy", allow_pickle=False)
    array[:] = value
    np.save(folder / f"{name}.npy", array)
    assert reason in refuse(folder)


def test_a_huge_declared_shape_takes_no_memory(folder: Path) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (10**14,)}
    with (folder / "biases.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.write(bytes(14_320))
    assert "want |u1(14320,)" in refuse(folder)


def test_every_truncation_of_a_file_is_refused(folder: Path) -> None:
    path = folder / "biases_zp.npy"
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        refuse(folder)
    path.write_bytes(data + b"x")
    refuse(folder)


def test_damaged_headers_are_refused_or_mean_the_same(folder: Path) -> None:
    path = folder / "biases_zp.npy"
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(200):
        mutant = bytearray(data)
        mutant[rng.integers(0, 128)] ^= int(rng.integers(1, 256))
        path.write_bytes(mutant)
        with suppress(DeepDiveError):
            assert np.array_equal(read_files(folder).arrays["biases_zp"], np.zeros(53))


def test_a_folder_in_the_place_of_a_file_is_refused(folder: Path) -> None:
    (folder / "biases.npy").unlink()
    (folder / "biases.npy").mkdir()
    assert "is missing" in refuse(folder)
