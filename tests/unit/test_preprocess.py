"""From photographs to input codes: exactly which pixels, and which files are refused."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from deepdive.errors import DeepDiveError
from deepdive.qnet import Preprocess
from deepdive.qnet.preprocess import open_picture, read_images


def gradient(height: int, width: int) -> Image.Image:
    """Red tells the row, green the column."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.arange(height)[:, None]
    pixels[..., 1] = np.arange(width)
    pixels[..., 2] = 200
    return Image.fromarray(pixels)


def test_the_middle_is_cut_out_of_a_picture_of_the_right_size() -> None:
    codes = Preprocess((4, 6), resize_short=10).apply(gradient(10, 20))
    assert codes.dtype == np.uint8
    assert np.array_equal(codes, np.asarray(gradient(10, 20))[3:7, 7:13])


def test_the_short_side_is_resized_first() -> None:
    """Nearest neighbour of a picture twice as large: every second pixel, then the middle."""
    codes = Preprocess((4, 4), resize_short=5, interpolation="nearest").apply(gradient(10, 20))
    assert codes[..., 0].tolist() == [[row] * 4 for row in (1, 3, 5, 7)]
    assert codes[..., 1].tolist() == [[7, 9, 11, 13]] * 4


def test_without_a_short_side_the_whole_picture_is_squashed() -> None:
    codes = Preprocess((2, 5), interpolation="nearest").apply(gradient(10, 20))
    assert codes[..., 0].tolist() == [[2] * 5, [7] * 5]
    assert codes[..., 1].tolist() == [[2, 6, 10, 14, 18]] * 2


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_every_interpolation_is_pillow_s(interpolation: str) -> None:
    picture = gradient(37, 23)
    how = Image.Resampling[interpolation.upper()]
    codes = Preprocess((9, 8), interpolation=interpolation).apply(picture)  # type: ignore[arg-type]
    assert np.array_equal(codes, np.asarray(picture.resize((8, 9), how)))


@settings(max_examples=60, deadline=None)
@given(
    picture=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    more=st.none() | st.integers(0, 10),
)
def test_any_picture_gives_the_network_s_size(
    picture: tuple[int, int], size: tuple[int, int], more: int | None
) -> None:
    short = None if more is None else max(size) + more
    assert Preprocess(size, resize_short=short).apply(gradient(*picture)).shape == (*size, 3)


def test_the_table_replaces_each_channel_s_pixels() -> None:
    rows = (tuple(range(256)), tuple(range(255, -1, -1)), (7,) * 256)
    codes = Preprocess((4, 4), table=rows).apply(gradient(4, 4))
    assert codes.dtype == np.uint8
    assert codes[2, 3].tolist() == [2, 255 - 3, 7]


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "LA"])
def test_every_kind_of_picture_becomes_rgb(mode: str) -> None:
    grey = Image.new("RGB", (5, 5), (255, 255, 255)).convert(mode)
    assert Preprocess((3, 3)).apply(grey).tolist() == [[[255, 255, 255]] * 3] * 3


def test_several_files_are_one_batch(tmp_path: Path) -> None:
    for index, colour in enumerate([(1, 2, 3), (4, 5, 6)]):
        Image.new("RGB", (8, 8), colour).save(tmp_path / f"{index}.png")
    batch = read_images([tmp_path / "1.png", tmp_path / "0.png"], Preprocess((2, 2)))
    assert (batch.dtype, batch.shape) == (np.uint8, (2, 2, 2, 3))
    assert batch[:, 0, 0].tolist() == [[4, 5, 6], [1, 2, 3]]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": (0, 4)}, "Input size (0, 4) is outside 1..8192."),
        ({"size": (4, 9000)}, "Input size (4, 9000) is outside 1..8192."),
        ({"size": (4, 8), "resize_short": 7}, "resize_short 7 must be at least 8, at most 16384."),
        (
            {"size": (4, 8), "interpolation": "lanczos"},
            "Interpolation 'lanczos' is unknown; use nearest, bilinear or bicubic.",
        ),
        ({"size": (4, 8), "table": ((0,) * 256,) * 2}, "The pixel table must have 3 rows of 256 codes."),
        ({"size": (4, 8), "table": ((256,) * 256,) * 3}, "The pixel table holds codes outside 0..255."),
    ],
)
def test_wrong_preprocessing_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(DeepDiveError) as caught:
        Preprocess(**wrong)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_a_picture_that_would_grow_beyond_memory_is_refused() -> None:
    with pytest.raises(DeepDiveError) as caught:
        Preprocess((224, 224), resize_short=256).apply(Image.new("RGB", (1, 100_000)))
    assert str(caught.value) == (
        "A picture of 1x100000 pixels would be resized to 256x25600000; "
        "at most 100000000 pixels: cut it to a less narrow one."
    )


def test_files_that_are_no_pictures_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DeepDiveError) as caught:
        open_picture(tmp_path / "nothing.png")
    assert str(caught.value) == f"There is no image '{tmp_path / 'nothing.png'}'; check the path."
    (tmp_path / "text.png").write_text("no picture at all")
    for path in (tmp_path / "text.png", tmp_path):
        with pytest.raises(DeepDiveError) as caught:
            open_picture(path)
        assert str(caught.value).startswith(f"'{path}' is no readable image (")
        assert str(caught.value).endswith("); use JPEG, PNG or another format of Pillow.")


def test_a_picture_of_too_many_pixels_is_not_decoded(tmp_path: Path) -> None:
    data = io.BytesIO()
    Image.new("1", (1, 1)).save(data, "PNG")
    # The size stands in bytes 16 to 23 of a PNG; its check sum is not looked at before the pixels are.
    header = bytearray(data.getvalue())
    header[16:24] = (100_000).to_bytes(4, "big") * 2
    header[29:33] = zlib.crc32(bytes(header[12:29])).to_bytes(4, "big")
    (tmp_path / "huge.png").write_bytes(bytes(header))
    with pytest.raises(DeepDiveError, match=r"100000000|could be decompression bomb"):
        open_picture(tmp_path / "huge.png")


def encoded(kind: str) -> bytes:
    data = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).save(data, kind)
    return data.getvalue()


FILES = {kind: encoded(kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA")}


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(sorted(FILES)),
    flips=st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 255)), max_size=4),
    keep=st.integers(0, 2000) | st.none(),
)
def test_damaged_pictures_give_pixels_or_a_sentence(
    tmp_path: Path, kind: str, flips: list[tuple[int, int]], keep: int | None
) -> None:
    data = bytearray(FILES[kind])
    for position, flip in flips:
        data[position % len(data)] ^= flip
    (tmp_path / "picture").write_bytes(bytes(data[:keep]))
    try:
        codes = Preprocess((4, 4), resize_short=6).apply(open_picture(tmp_path / "picture"))
    except DeepDiveError:
        return
    assert codes.shape == (4, 4, 3)


@pytest.mark.parametrize("kind", FILES)
def test_a_picture_cut_short_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "whole").write_bytes(FILES[kind])
    assert open_picture(tmp_path / "whole").size == (16, 16)
    (tmp_path / "half").write_bytes(FILES[kind][: len(FILES[kind]) // 2])
    with pytest.raises(DeepDiveError, match=r"^'.*half' is no readable image \("):
        open_picture(tmp_path / "half")


def test_opencv_s_resize_looks_at_the_four_nearest_pixels() -> None:
    """Halving takes the mean of each 2x2; a quarter of the size takes the middle 2x2 of each 4x4, blurring nothing."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    how = Preprocess((4, 4), interpolation="bilinear", antialias=False)
    means = pixels.reshape(4, 2, 4, 2, 3).mean(axis=(1, 3))
    assert np.abs(how.apply(Image.fromarray(pixels)) - means).max() <= 0.75
    small = Preprocess((2, 2), interpolation="bilinear", antialias=False)
    middle = pixels.reshape(2, 4, 2, 4, 3)[:, 1:3, :, 1:3].mean(axis=(1, 3))
    assert np.abs(small.apply(Image.fromarray(pixels)) - middle).max() <= 0.75


def test_opencv_s_resize_leaves_a_picture_of_the_right_size_and_flat_ones_alone() -> None:
    how = Preprocess((10, 20), interpolation="bilinear", antialias=False)
    assert np.array_equal(how.apply(gradient(10, 20)), np.asarray(gradient(10, 20)))
    assert (how.apply(Image.new("RGB", (7, 3), (10, 200, 255))) == (10, 200, 255)).all()


def test_only_bilinear_goes_without_antialiasing() -> None:
    with pytest.raises(DeepDiveError, match="Interpolation 'bicubic' needs antialiasing; only bilinear goes without"):
        Preprocess((4, 4), antialias=False)
