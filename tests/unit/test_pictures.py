"""Folders of pictures and what a classifier says of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepdive.errors import DeepDiveError
from deepdive.qnet import Conv, FeatureMap, GlobalAvgPool, Preprocess, QNet, Requantize
from deepdive.qnet.classify import best, evaluate, logits_of
from deepdive.qnet.pictures import Picture, list_pictures


def paint(path: Path, colour: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 7), colour).save(path)


def colour_net() -> QNet:
    """Names the strongest of red, green and blue: the mean of each channel, doubled where it is its own."""
    requantize = Requantize(np.full(1, 1 << 15, np.uint16), np.full(1, 16, np.uint8), 0, 255)
    own = Conv(
        input="pixels",
        output=FeatureMap("own", (4, 4, 3)),
        weight=np.eye(3, dtype=np.int8).reshape(3, 1, 1, 3),
        weight_bits=2,
        bias=np.zeros(3, np.int32),
        requantize=requantize,
        weight_zero_point=np.zeros(3, np.int16),
    )
    mean = Requantize(np.full(1, 1 << 12, np.uint16), np.full(1, 16, np.uint8), 0, 255)
    pool = GlobalAvgPool("own", FeatureMap("mean", (1, 1, 3)), mean)
    return QNet("colour", FeatureMap("pixels", (4, 4, 3)), (own, pool), Preprocess((4, 4)), ("red", "green", "blue"))


def test_labels_csv_by_index_and_by_name(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        paint(tmp_path / name, (1, 2, 3))
    (tmp_path / "labels.csv").write_text("file,label\na.png,2\nb.png,green\n")
    found = list_pictures(tmp_path, ("red", "green", "blue"))
    assert found == (Picture(tmp_path / "a.png", 2), Picture(tmp_path / "b.png", 1))


def test_one_folder_a_class(tmp_path: Path) -> None:
    paint(tmp_path / "b" / "1.png", (0, 0, 0))
    paint(tmp_path / "a" / "2.png", (0, 0, 0))
    assert [(p.path.name, p.label) for p in list_pictures(tmp_path)] == [("2.png", 0), ("1.png", 1)]
    assert [(p.path.name, p.label) for p in list_pictures(tmp_path, ("b", "a"))] == [("2.png", 1), ("1.png", 0)]


def test_loose_pictures_have_no_label(tmp_path: Path) -> None:
    paint(tmp_path / "x.PNG", (0, 0, 0))
    (tmp_path / "notes.txt").write_text("no picture")
    assert list_pictures(tmp_path) == (Picture(tmp_path / "x.PNG"),)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("file,label\n../secret.png,1\n", "line 2: there is no picture '../secret.png' in its folder."),
        ("file,label\nmissing.png,1\n", "line 2: there is no picture 'missing.png' in its folder."),
        ("file,label\na.png,puce\n", "line 2: 'puce' is neither a class index nor a class name of the network."),
        ("name,class\na.png,1\n", "needs the columns file,label and at least one row."),
        ("", "needs the columns file,label and at least one row."),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, table: str, reason: str) -> None:
    folder = tmp_path / "pictures"
    paint(tmp_path / "secret.png", (0, 0, 0))
    paint(folder / "a.png", (0, 0, 0))
    (folder / "labels.csv").write_text(table)
    with pytest.raises(DeepDiveError) as caught:
        list_pictures(folder)
    assert str(caught.value).endswith(reason)


def test_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DeepDiveError, match="holds no picture"):
        list_pictures(tmp_path)
    with pytest.raises(DeepDiveError, match="There is no folder"):
        list_pictures(tmp_path / "nowhere")
    paint(tmp_path / "full" / "a.png", (0, 0, 0))
    (tmp_path / "hollow").mkdir()
    with pytest.raises(DeepDiveError, match="hollow' holds no picture; fill it or remove it"):
        list_pictures(tmp_path)


def test_evaluate_counts_first_and_first_five(tmp_path: Path) -> None:
    for name, colour in (("r", (200, 10, 10)), ("g", (10, 200, 10)), ("b", (10, 10, 200))):
        paint(tmp_path / f"{name}.png", colour)
    pictures = [Picture(tmp_path / "r.png", 0), Picture(tmp_path / "g.png", 1), Picture(tmp_path / "b.png", 0)]
    seen: list[tuple[int, int]] = []
    accuracy = evaluate(colour_net(), pictures, lambda done, of: seen.append((done, of)))
    assert (accuracy.images, accuracy.top1, accuracy.top5) == (3, 2, 3)
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_evaluate_refuses_a_label_the_network_lacks(tmp_path: Path) -> None:
    paint(tmp_path / "r.png", (200, 10, 10))
    with pytest.raises(DeepDiveError, match="has no label that fits 3 classes"):
        evaluate(colour_net(), [Picture(tmp_path / "r.png", 3)])


def test_best_breaks_ties_towards_the_lowest_index() -> None:
    guesses = best(np.array([1.0, 3.0, 3.0, 0.0]), (), count=3)
    assert [guess.index for guess in guesses] == [1, 2, 0]
    assert guesses[0].label == "class 1"
    assert guesses[0].probability == guesses[1].probability


def test_a_map_is_no_classifier() -> None:
    net = colour_net()
    headless = QNet("map", net.input, net.nodes[:1])
    with pytest.raises(DeepDiveError, match="it is no classifier"):
        logits_of(headless, np.zeros((1, 4, 4, 3), np.uint8))
