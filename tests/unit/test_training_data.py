"""Opening data: digits, image folders, tar files, arrays; what is damaged, empty or hostile."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepdive.errors import DeepDiveError
from deepdive.qnet.preprocess import Preprocess
from deepdive.training import open_data

SIZE = Preprocess((8, 8), resize_short=8)


def picture(seed: int, size: tuple[int, int] = (8, 8)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def write_folder(root: Path, classes: dict[str, int]) -> None:
    for number, (name, count) in enumerate(classes.items()):
        (root / name).mkdir(parents=True)
        for index in range(count):
            (root / name / f"{index}.png").write_bytes(png(picture(100 * number + index)))


def write_tar(path: Path, members: dict[str, bytes | None]) -> None:
    """None makes a folder."""
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))


def test_digits_are_split_by_class() -> None:
    data = open_data("digits", Preprocess((16, 16)))
    assert len(data.train) + len(data.test) == 1797
    assert data.train.size == (16, 16)
    assert data.train.classes == tuple("0123456789")
    assert np.bincount(data.test.labels).tolist() == [18, 19, 18, 19, 19, 19, 19, 18, 18, 18]
    assert not set(data.train.rows.tolist()) & set(data.test.rows.tolist())


def test_folder_of_classes(tmp_path: Path) -> None:
    write_folder(tmp_path / "in", {"cat": 12, "ant": 11})
    data = open_data(tmp_path / "in", SIZE, cache=tmp_path / "cache")
    assert data.train.classes == ("ant", "cat")
    assert (len(data.train), len(data.test)) == (19, 4)
    # "ant" comes first in the order of names, second in that of writing; its image 0 is held out.
    assert np.array_equal(data.test.pixels(np.array([0]))[0], picture(100))
    assert np.array_equal(data.train.pixels(np.array([0]))[0], picture(101))
    assert data.train.labels[0] == 0
    assert data.skipped == ()


def test_folder_with_train_and_test(tmp_path: Path) -> None:
    write_folder(tmp_path / "in" / "train", {"a": 3, "b": 2})
    write_folder(tmp_path / "in" / "val", {"a": 1, "b": 2})
    data = open_data(tmp_path / "in", SIZE, cache=tmp_path / "cache")
    assert (len(data.train), len(data.test)) == (5, 3)
    assert np.array_equal(data.test.pixels(np.arange(3))[1], picture(100))


def test_classes_of_train_and_test_must_agree(tmp_path: Path) -> None:
    write_folder(tmp_path / "in" / "train", {"a": 3, "b": 2})
    write_folder(tmp_path / "in" / "test", {"a": 1, "c": 2})
    with pytest.raises(DeepDiveError, match=r"have different classes: 'b'\.$"):
        open_data(tmp_path / "in", SIZE, cache=tmp_path / "cache")


@pytest.mark.parametrize("labels", [("zebra", "ant"), ("1", "0")])
def test_folder_with_a_table(tmp_path: Path, labels: tuple[str, str]) -> None:
    rows = []
    for index in range(6):
        (tmp_path / f"{index}.png").write_bytes(png(picture(index)))
        rows.append(f'{labels[index % 2]},"{index}.png"')
    (tmp_path / "labels.csv").write_text("label,file\n" + "\n".join(rows) + "\n")
    data = open_data(tmp_path, SIZE, cache=tmp_path / "cache")
    assert data.train.classes == (("ant", "zebra") if labels[0] == "zebra" else ("0", "1"))
    assert data.train.labels.tolist() == [1, 0, 1, 0]
    assert np.array_equal(data.train.pixels(np.array([0]))[0], picture(2))


def test_tar_file(tmp_path: Path) -> None:
    members: dict[str, bytes | None] = {"train": None, "train/b": None, "train/a": None}
    for index in range(4):
        members[f"train/b/{index}.png"] = png(picture(index))
        members[f"train/a/{index}.png"] = png(picture(10 + index, (16, 24)))
    write_tar(tmp_path / "train.tar", members)
    write_tar(tmp_path / "test.tar", {"test/a/0.png": png(picture(20)), "test/b/0.png": png(picture(21))})
    data = open_data(tmp_path, SIZE, cache=tmp_path / "cache")
    assert data.train.classes == ("a", "b")
    assert data.train.labels.tolist() == [1, 0] * 4
    assert np.array_equal(data.train.pixels(np.array([2]))[0], picture(1))
    assert np.array_equal(data.test.pixels(np.arange(2)), np.stack([picture(20), picture(21)]))


def test_nothing_of_a_tar_file_reaches_the_file_system(tmp_path: Path) -> None:
    image = png(picture(0))
    inside = tmp_path / "in"
    inside.mkdir()
    write_tar(
        inside / "x.tar",
        {"../evil/0.png": image, "/tmp/evil/1.png": image, "../evil/2.png": image, "a/0.png": image, "a/1.png": image},
    )
    with tarfile.open(inside / "x.tar", "a") as archive:
        link = tarfile.TarInfo("a/2.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    data = open_data(inside / "x.tar", SIZE, cache=tmp_path / "cache")
    assert data.train.classes == ("a", "evil")
    assert len(data.train) + len(data.test) == 5  # the link is no image
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "in"]
    assert sorted(path.name for path in inside.iterdir()) == ["x.tar"]


def test_corrupt_images_are_skipped_counted_and_named(tmp_path: Path) -> None:
    write_folder(tmp_path / "in", {"a": 5, "b": 5})
    (tmp_path / "in" / "a" / "1.png").write_bytes(b"no image")
    (tmp_path / "in" / "b" / "3.png").write_bytes(png(picture(7))[:60])
    data = open_data(tmp_path / "in", SIZE, cache=tmp_path / "cache")
    assert [one.name for one in data.skipped] == ["a/1.png", "b/3.png"]
    assert "is no readable image" in data.skipped[0].reason
    assert len(data.train) + len(data.test) == 8
    assert np.array_equal(data.train.pixels(np.array([0]))[0], picture(2))  # what followed moved up
    again = open_data(tmp_path / "in", SIZE, cache=tmp_path / "cache")
    assert again.skipped == data.skipped


def test_corrupt_images_in_a_tar_file_are_named(tmp_path: Path) -> None:
    image = png(picture(0))
    write_tar(
        tmp_path / "x.tar",
        {"a/0.png": image, "a/1.png": b"\xff\xd8\xff", "a/2.png": image, "b/0.png": image, "b/1.png": image},
    )
    data = open_data(tmp_path / "x.tar", SIZE, cache=tmp_path / "cache")
    (skipped,) = data.skipped
    assert skipped.name == "a/1.png"
    assert skipped.reason.startswith("'a/1.png' is no readable image")


def test_images_are_decoded_once(tmp_path: Path) -> None:
    write_folder(tmp_path / "in", {"a": 3, "b": 3})
    seen: list[tuple[int, int]] = []
    for _ in range(2):
        open_data(tmp_path / "in", SIZE, cache=tmp_path / "cache", progress=lambda done, of: seen.append((done, of)))
    assert seen == [(done, 6) for done in range(1, 7)]
    (tmp_path / "in" / "a" / "9.png").write_bytes(png(picture(9)))
    open_data(tmp_path / "in", SIZE, cache=tmp_path / "cache", progress=lambda done, of: seen.append((done, of)))
    assert seen[6:] == [(done, 7) for done in range(1, 8)]


def test_arrays_are_mapped(tmp_path: Path) -> None:
    images = np.stack([picture(index) for index in range(20)])
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "labels.npy", np.arange(20) % 2)
    data = open_data(tmp_path, SIZE)
    assert isinstance(data.train.images, np.memmap)
    assert np.array_equal(data.train.pixels(np.array([0])), images[2:3])
    assert data.test.labels.tolist() == [0, 1]


def bad_folder(tmp_path: Path) -> Path:
    write_folder(tmp_path / "in", {"a": 3, "b": 0})
    return tmp_path / "in"


def corrupt_class(tmp_path: Path) -> Path:
    write_folder(tmp_path / "in", {"a": 3, "b": 1})
    (tmp_path / "in" / "b" / "0.png").write_bytes(b"")
    return tmp_path / "in"


def loose_images(tmp_path: Path) -> Path:
    (tmp_path / "0.png").write_bytes(png(picture(0)))
    return tmp_path


def empty_tar(tmp_path: Path) -> Path:
    write_tar(tmp_path / "x.tar", {"a": None})
    return tmp_path / "x.tar"


def tar_with_empty_class(tmp_path: Path) -> Path:
    write_tar(tmp_path / "x.tar", {"a": None, "b": None, "a/0.png": png(picture(0))})
    return tmp_path / "x.tar"


def broken_tar(tmp_path: Path) -> Path:
    (tmp_path / "x.tar").write_bytes(b"no tar file at all")
    return tmp_path / "x.tar"


def wrong_size(tmp_path: Path) -> Path:
    np.save(tmp_path / "images.npy", np.zeros((4, 9, 9, 3), dtype=np.uint8))
    np.save(tmp_path / "labels.npy", np.arange(4) % 2)
    return tmp_path


def wrong_labels(tmp_path: Path) -> Path:
    np.save(tmp_path / "images.npy", np.zeros((4, 8, 8, 3), dtype=np.uint8))
    np.save(tmp_path / "labels.npy", np.array([0, 1, -1, 1]))
    return tmp_path


def one_image(tmp_path: Path) -> Path:
    write_folder(tmp_path / "in", {"a": 3, "b": 1})
    return tmp_path / "in"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda tmp_path: tmp_path, "holds no picture"),
        (lambda tmp_path: tmp_path / "none", "There is no data '.*none'; name a folder, a tar file, or 'digits'"),
        (bad_folder, "Class folder '.*b' holds no picture; fill it or remove it"),
        (corrupt_class, "Class 'b' of '.*in' holds no readable image; add some or remove it"),
        (loose_images, r"holds images without a class \('0.png'\); put one folder a class in it"),
        (empty_tar, r"holds no image in a class folder \(CLASS/NAME.jpg\); name another tar file"),
        (tar_with_empty_class, "Class folder 'b' of '.*x.tar' holds no image; fill it or remove it"),
        (broken_tar, "'.*x.tar' is no readable tar file"),
        (wrong_size, "are of 9x9 pixels, the network wants 8x8; ask for that resolution or write other arrays"),
        (wrong_labels, "Labels go from -1 to 1; want 0..1"),
        (one_image, "Class 'b' of '.*in' has 1 image; want two, one for testing"),
    ],
)
def test_bad_data_is_refused_in_a_sentence(tmp_path: Path, make, words: str) -> None:
    with pytest.raises(DeepDiveError, match=words):
        open_data(make(tmp_path), SIZE, cache=tmp_path.parent / f"{tmp_path.name}-cache")


def test_cifar10(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "cifar10"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "test.tar").symlink_to(folder / "test.tar")
    data = open_data(tmp_path / "in" / "test.tar", Preprocess((32, 32), resize_short=32), cache=tmp_path / "cache")
    assert len(data.train.classes) == 10
    assert np.bincount(data.train.labels).tolist() == [900] * 10
    assert data.skipped == ()
