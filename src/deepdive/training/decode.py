"""Decodes the images of a source once into memory-mapped arrays, and finds them again the next time."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.lib.format import open_memmap
from PIL import Image

from deepdive.errors import DeepDiveError
from deepdive.files import atomic_folder, write_text
from deepdive.qnet.preprocess import Preprocess, open_picture
from deepdive.training.image_set import ImageSet, Skipped

INDEX = "index.json"
IMAGES = "images.npy"
LABELS = "labels.npy"
MAX_CACHE_BYTES = 1 << 40

Progress = Callable[[int, int], None]
"""Called with (images done, images in all)."""


@dataclass(frozen=True)
class Encoded:
    """An image file of a source: its name there, its class, and where it lies (on disk, or read into memory)."""

    name: str
    label: int
    content: Path | bytes


@dataclass(frozen=True)
class Source:
    """Where images come from.

    Parameters
    ----------
    name
        For messages.
    stamp
        Changes whenever the content does: names, sizes and times of modification.
    classes
        Names of the classes.
    count
        Upper limit of what `images` yields.
    images
        Yields the image files, always in the same order.
    """

    name: str
    stamp: str
    classes: tuple[str, ...]
    count: int
    images: Callable[[], Iterable[Encoded]]


def decoded(source: Source, preprocess: Preprocess, cache: Path, progress: Progress | None = None) -> ImageSet:
    """The images of `source`, resized as `preprocess` says, mapped from a folder below `cache`.

    The first call decodes them; later ones with the same source and size only map the file. Images that cannot be
    read are left out and named in the result's `skipped`.

    Raises
    ------
    DeepDiveError
        When nothing can be read, a class has no readable image, or the cache cannot be written.
    """
    key = hashlib.sha256(repr((source.stamp, source.classes, preprocess)).encode()).hexdigest()[:24]
    folder = cache / f"images-{key}"
    if not (folder / INDEX).is_file():
        write_cache(source, preprocess, folder, progress)
    return read_cache(folder, source.name)


def write_cache(source: Source, preprocess: Preprocess, folder: Path, progress: Progress | None) -> None:
    """Decode into a new folder that appears only when it is complete."""
    height, width = preprocess.size
    shape = (source.count, height, width, 3)
    if np.prod(shape, dtype=float) > MAX_CACHE_BYTES:
        raise DeepDiveError(f"'{source.name}' needs {np.prod(shape, dtype=float):.0f} bytes decoded; use fewer images.")
    skipped: list[Skipped] = []
    with atomic_folder(folder, marker=INDEX) as building:
        images = open_memmap(building / "all.npy", mode="w+", dtype=np.uint8, shape=shape)
        labels = np.empty(source.count, dtype=np.int64)
        good = 0
        for done, (encoded, pixels) in enumerate(pixels_of(source, preprocess, skipped), start=1):
            if pixels is not None:
                images[good], labels[good] = pixels, encoded.label
                good += 1
            if progress:
                progress(done, source.count)
        if not good:
            why = f" (the first: {skipped[0].name}: {skipped[0].reason})" if skipped else ""
            raise DeepDiveError(f"'{source.name}' holds no readable image{why}.")
        ImageSet(images[:good], labels[:good], source.classes).require_every_class(source.name)
        store(building, images, good)
        np.save(building / LABELS, labels[:good])
        index = {"source": source.name, "classes": source.classes, "skipped": [asdict(one) for one in skipped]}
        write_text(building / INDEX, json.dumps(index, indent=1))


def store(building: Path, images: np.memmap, good: int) -> None:
    """Name the file of decoded images, without the rows that skipped images left empty at its end."""
    images.flush()
    if good == len(images):
        (building / "all.npy").replace(building / IMAGES)
        return
    kept = open_memmap(building / IMAGES, mode="w+", dtype=np.uint8, shape=(good, *images.shape[1:]))
    kept[:] = images[:good]
    kept.flush()
    (building / "all.npy").unlink()


def pixels_of(
    source: Source, preprocess: Preprocess, skipped: list[Skipped]
) -> Iterator[tuple[Encoded, np.ndarray | None]]:
    """Each image file with its pixels, uint8 (height, width, 3); None, and a line in `skipped`, if unreadable."""
    for encoded in source.images():
        try:
            pixels = preprocess.apply(opened(encoded))
        except Exception as error:  # a damaged file can surface as almost any exception of its decoder
            skipped.append(Skipped(encoded.name, (str(error) or type(error).__name__)[:300]))
            yield encoded, None
        else:
            yield encoded, pixels


class NamedBytes(io.BytesIO):
    """Bytes that messages call by the name of the file they came from."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name

    def __str__(self) -> str:
        return self.name


def opened(encoded: Encoded) -> Image.Image:
    """The picture, decoded; DeepDiveError when it is none or too large."""
    if isinstance(encoded.content, Path):
        return open_picture(encoded.content)
    # Pillow opens a file and a stream alike; open_picture only hands it on and names it.
    return open_picture(cast(Path, NamedBytes(encoded.content, encoded.name)))


def read_cache(folder: Path, name: str) -> ImageSet:
    """Map what `write_cache` wrote."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        images = np.load(folder / IMAGES, mmap_mode="r", allow_pickle=False)
        labels = np.load(folder / LABELS, allow_pickle=False)
        skipped = tuple(Skipped(str(one["name"]), str(one["reason"])) for one in index["skipped"])
        return ImageSet(images, labels, tuple(map(str, index["classes"])), skipped)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeepDiveError(f"The decoded images of '{name}' in '{folder}' are damaged ({error}); remove it.") from None
