"""Labelled images in memory or mapped from disk: what the training loop reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepdive.errors import DeepDiveError


@dataclass(frozen=True)
class Skipped:
    """An image that could not be read, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class ImageSet:
    """Decoded images of one size with their classes.

    Parameters
    ----------
    images
        uint8 (count, height, width, 3), RGB; often a read-only memory map.
    labels
        int64 (count,), indices into `classes`.
    classes
        Names of the classes.
    skipped
        Images of the source that could not be read.
    rows
        int64 (count,): which rows of `images` belong to the set, one for each label; None for all of them.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()
    rows: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[3] != 3:
            raise DeepDiveError(
                f"Images are {self.images.dtype} {self.images.shape}; want uint8 (count, height, width, 3)."
            )
        count = len(self.images) if self.rows is None else len(self.rows)
        if self.labels.shape != (count,) or self.labels.dtype.kind not in "iu":
            raise DeepDiveError(
                f"Labels are {self.labels.dtype} {self.labels.shape}; want one integer for each of {count} images."
            )
        if not len(self.labels):
            raise DeepDiveError("A data set without images cannot be used; add some.")
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < 0 or high >= len(self.classes):
            raise DeepDiveError(f"Labels go from {low} to {high}; want 0..{len(self.classes) - 1}, one for each class.")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.images.shape[1], self.images.shape[2]

    def take(self, indices: np.ndarray) -> ImageSet:
        """Only those images, in that order, without copying them."""
        rows = indices if self.rows is None else self.rows[indices]
        return ImageSet(self.images, self.labels[indices], self.classes, self.skipped, rows)

    def pixels(self, indices: np.ndarray) -> np.ndarray:
        """A copy of those images: uint8 (indices, height, width, 3)."""
        return np.asarray(self.images[indices if self.rows is None else self.rows[indices]])

    def require_every_class(self, source: str) -> None:
        """Raise DeepDiveError when a class has no (readable) image."""
        counts = np.bincount(self.labels, minlength=len(self.classes))
        empty = [name for name, count in zip(self.classes, counts, strict=True) if not count]
        if empty:
            raise DeepDiveError(f"Class '{empty[0]}' of '{source}' holds no readable image; add some or remove it.")


@dataclass(frozen=True)
class Data:
    """A set to learn from and a set to test on, of the same classes and size."""

    train: ImageSet
    test: ImageSet
    name: str

    def __post_init__(self) -> None:
        if self.train.classes != self.test.classes:
            odd = sorted(set(self.train.classes) ^ set(self.test.classes))
            raise DeepDiveError(f"Training and test images of '{self.name}' have different classes: '{odd[0]}'.")
        if self.train.size != self.test.size:
            raise DeepDiveError(
                f"Training images of '{self.name}' are {self.train.size}, its test images {self.test.size}; "
                "make them one size."
            )

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """The images of both sets that could not be read."""
        return tuple(dict.fromkeys(self.train.skipped + self.test.skipped))
