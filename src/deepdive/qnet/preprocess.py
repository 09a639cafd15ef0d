"""From a photograph on disk to the network's input codes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from deepdive.errors import DeepDiveError
from deepdive.qnet.opencv_resize import resize_bilinear

MAX_PIXELS = 100_000_000
"""Larger pictures are refused before they are decoded or resized."""


@dataclass(frozen=True)
class Preprocess:
    """Resize, cut the middle, and (imported networks) look each pixel up.

    Parameters
    ----------
    size
        (height, width) of the network input.
    resize_short
        The short side is resized to this many pixels before the middle is cut; None squashes the picture to `size`.
    interpolation
        Of the resize.
    antialias
        True resizes as Pillow does. False, for bilinear alone, looks at the four nearest pixels as OpenCV does.
    table
        None when raw uint8 RGB goes in; else 3 x 256 codes, one row a channel, that replace the pixel values.
    """

    size: tuple[int, int]
    resize_short: int | None = None
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bicubic"
    table: tuple[tuple[int, ...], ...] | None = None
    antialias: bool = True

    def __post_init__(self) -> None:
        if min(self.size) < 1 or max(self.size) > 8192:
            raise DeepDiveError(f"Input size {self.size} is outside 1..8192.")
        if self.resize_short is not None and not max(self.size) <= self.resize_short <= 16384:
            raise DeepDiveError(f"resize_short {self.resize_short} must be at least {max(self.size)}, at most 16384.")
        if self.interpolation not in ("nearest", "bilinear", "bicubic"):
            raise DeepDiveError(f"Interpolation '{self.interpolation}' is unknown; use nearest, bilinear or bicubic.")
        if not self.antialias and self.interpolation != "bilinear":
            raise DeepDiveError(f"Interpolation '{self.interpolation}' needs antialiasing; only bilinear goes without.")
        if self.table is not None and (len(self.table) != 3 or any(len(row) != 256 for row in self.table)):
            raise DeepDiveError("The pixel table must have 3 rows of 256 codes.")
        if self.table is not None and not all(0 <= code <= 255 for row in self.table for code in row):
            raise DeepDiveError("The pixel table holds codes outside 0..255.")

    def apply(self, picture: Image.Image) -> np.ndarray:
        """Input codes of one picture: uint8 (height, width, 3).

        Raises
        ------
        DeepDiveError
            When the picture is so narrow that it would be resized to more than 100 million pixels.
        """
        height, width = self.size
        picture = picture.convert("RGB")
        if self.resize_short is None:
            pixels = self.resize(picture, self.size)
        else:
            scale = self.resize_short / min(picture.size)
            wide, high = (
                max(round(side * scale), least) for side, least in zip(picture.size, (width, height), strict=True)
            )
            if wide * high > MAX_PIXELS:
                raise DeepDiveError(
                    f"A picture of {picture.width}x{picture.height} pixels would be resized to {wide}x{high}; "
                    f"at most {MAX_PIXELS} pixels: cut it to a less narrow one."
                )
            left, top = (wide - width) // 2, (high - height) // 2
            pixels = self.resize(picture, (high, wide))[top : top + height, left : left + width]
        if self.table is None:
            return pixels
        table = np.asarray(self.table, dtype=np.uint8)
        return np.stack([table[channel][pixels[..., channel]] for channel in range(3)], axis=-1)

    def resize(self, picture: Image.Image, size: tuple[int, int]) -> np.ndarray:
        """An RGB picture as pixels, uint8 (height, width, 3), brought to `size` = (height, width)."""
        if not self.antialias:
            return resize_bilinear(np.asarray(picture, dtype=np.uint8), size)
        how = getattr(Image.Resampling, self.interpolation.upper())
        return np.asarray(picture.resize(size[::-1], how), dtype=np.uint8)


def open_picture(path: str | Path) -> Image.Image:
    """Open an image file of a stranger.

    Raises
    ------
    DeepDiveError
        When there is no such file, it is no image, it is cut short, or it has more than 100 million pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a damaged picture that can be read is read
            with Image.open(path) as picture:
                if not 0 < picture.width * picture.height <= MAX_PIXELS:
                    raise DeepDiveError(
                        f"Image '{path}' has {picture.width}x{picture.height} pixels; want 1 to {MAX_PIXELS}."
                    )
                picture.load()
                return picture
    except FileNotFoundError:
        raise DeepDiveError(f"There is no image '{path}'; check the path.") from None
    except DeepDiveError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever they stumble over: struct.error, IndexError, ...
        raise DeepDiveError(
            f"'{path}' is no readable image ({error}); use JPEG, PNG or another format of Pillow."
        ) from None


def read_images(paths: list[Path] | tuple[Path, ...], preprocess: Preprocess) -> np.ndarray:
    """Input codes of several image files: uint8 (batch, height, width, 3)."""
    height, width = preprocess.size
    batch = np.empty((len(paths), height, width, 3), dtype=np.uint8)
    for index, path in enumerate(paths):
        batch[index] = preprocess.apply(open_picture(path))
    return batch
