"""Opens whatever a user names as data: digits, image folders, tar files, arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from deepdive.errors import DeepDiveError
from deepdive.files import cache_folder
from deepdive.qnet.preprocess import Preprocess
from deepdive.training.decode import IMAGES, INDEX, LABELS, Progress, decoded, read_cache
from deepdive.training.image_set import Data, ImageSet
from deepdive.training.sources import folder_source, tar_source

DIGITS = "digits"
TEST_NAMES = ("test", "val", "valid", "validation")
HELD_OUT = 10
"""Every tenth image of each class is for testing when a source has no test images of its own."""
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def open_data(
    source: str | Path, preprocess: Preprocess, *, cache: Path | None = None, progress: Progress | None = None
) -> Data:
    """Open labelled images for training and testing.

    Parameters
    ----------
    source
        `digits` (scikit-learn's 1797 handwritten digits), or a path: an image folder (one folder a class, or
        `labels.csv`), a tar file (`CLASS/NAME.jpg`), a folder with `images.npy` (uint8, count x height x width x 3) and
        `labels.npy` - or a folder that holds `train` and `test` (or `val`) as one of these each. Where there is no test
        set, every tenth image of each class is held out.
    preprocess
        How an image becomes the network's input size; arrays must have that size already.
    cache
        Folder for decoded images; the user's cache folder unless told otherwise.
    progress
        Called while images are decoded.

    Raises
    ------
    DeepDiveError
        When there is no such source, it is empty or damaged, or a class has no readable image.
    """
    if str(source) == DIGITS:
        return split(digits(preprocess), DIGITS)
    path = Path(source)
    if not path.exists():
        raise DeepDiveError(f"There is no data '{source}'; name a folder, a tar file, or '{DIGITS}'.")
    keep = cache or cache_folder()
    train, test = part(path, ("train",)), part(path, TEST_NAMES)
    if train is not None and test is not None:
        return Data(
            open_set(train, preprocess, keep, progress), open_set(test, preprocess, keep, progress), str(source)
        )
    return split(open_set(path, preprocess, keep, progress), str(source))


def part(folder: Path, names: tuple[str, ...]) -> Path | None:
    """The folder or tar file in `folder` that bears one of those names, or None."""
    if not folder.is_dir():
        return None
    for name in names:
        for candidate in (folder / name, *(folder / f"{name}{suffix}" for suffix in TAR_SUFFIXES)):
            if candidate.exists():
                return candidate
    return None


def open_set(path: Path, preprocess: Preprocess, cache: Path, progress: Progress | None = None) -> ImageSet:
    """One set of images: arrays, a tar file or an image folder."""
    if path.is_dir() and (path / IMAGES).is_file():
        return arrays(path, preprocess)
    source = folder_source(path) if path.is_dir() else tar_source(path)
    return decoded(source, preprocess, cache, progress)


def arrays(folder: Path, preprocess: Preprocess) -> ImageSet:
    """Map `images.npy` and `labels.npy`; names of classes stand in `index.json` if there is one."""
    if (folder / INDEX).is_file():
        found = read_cache(folder, str(folder))
    else:
        try:
            images = np.load(folder / IMAGES, mmap_mode="r", allow_pickle=False)
            labels = np.load(folder / LABELS, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DeepDiveError(
                f"Cannot read the arrays in '{folder}' ({error}); write them with numpy.save."
            ) from None
        if labels.dtype.kind not in "iu" or not labels.size:
            raise DeepDiveError(f"'{folder / LABELS}' holds {labels.dtype} {labels.shape}; want one integer an image.")
        classes = tuple(str(index) for index in range(int(labels.max()) + 1))
        found = ImageSet(images, labels.astype(np.int64), classes)
    if found.size != preprocess.size:
        raise DeepDiveError(
            f"The arrays in '{folder}' are of {found.size[0]}x{found.size[1]} pixels, the network wants "
            f"{preprocess.size[0]}x{preprocess.size[1]}; ask for that resolution or write other arrays."
        )
    found.require_every_class(str(folder))
    return found


def digits(preprocess: Preprocess) -> ImageSet:
    """scikit-learn's handwritten digits, 8x8 pixels of 17 greys, enlarged to the network's input."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise DeepDiveError("The digits come with scikit-learn, which is absent; pip install scikit-learn.") from None
    bunch = load_digits()
    grey = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    height, width = preprocess.size
    pictures = [np.asarray(Image.fromarray(one).resize((width, height), Image.Resampling.BILINEAR)) for one in grey]
    images = np.repeat(np.stack(pictures)[..., None], 3, axis=3)
    return ImageSet(images, bunch.target.astype(np.int64), tuple(str(digit) for digit in range(10)))


def split(whole: ImageSet, name: str) -> Data:
    """Hold out every tenth image of each class, always the same ones."""
    rank = np.empty(len(whole), dtype=np.int64)  # of an image among those of its class
    for label in range(len(whole.classes)):
        members = np.flatnonzero(whole.labels == label)
        if len(members) < 2:
            raise DeepDiveError(
                f"Class '{whole.classes[label]}' of '{name}' has {len(members)} image; want two, one for testing."
            )
        rank[members] = np.arange(len(members))
    counts = np.bincount(whole.labels, minlength=len(whole.classes))
    # A class of fewer than ten images still gives its first to the test.
    held_out = rank % np.minimum(HELD_OUT, counts[whole.labels]) == 0
    return Data(whole.take(np.flatnonzero(~held_out)), whole.take(np.flatnonzero(held_out)), name)
