"""Random changes of whole batches of uint8 images: flip, shifted crop, cutout, mixup."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field


class Augment(BaseModel):
    """What is changed at random while training; everything is off by default.

    Parameters
    ----------
    flip
        Mirror left and right, half of the images.
    shift
        Move by up to so many pixels in both directions; the border is filled by reflection.
    cutout
        Side in pixels of a square that is painted grey, at a random place that may reach over the border
        (DeVries 2017).
    mixup
        alpha of the Beta distribution that the weight of a second image is drawn from (Zhang 2018).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    flip: bool = False
    shift: int = Field(default=0, ge=0, le=256)
    cutout: int = Field(default=0, ge=0, le=1024)
    mixup: float = Field(default=0.0, ge=0.0, le=10.0)


@dataclass(frozen=True)
class Changes:
    """What happens to each image of a global batch; `mirrored` bool, `down`, `right`, `hole` int64, one row an image.

    `partner` is the index of the second image in the batch, `share` the weight of the first (1 without mixup).
    """

    mirrored: np.ndarray
    down: np.ndarray
    right: np.ndarray
    hole: np.ndarray
    partner: np.ndarray
    share: float

    def take(self, rows: np.ndarray) -> Changes:
        """The changes of those images of the batch."""
        return Changes(
            self.mirrored[rows], self.down[rows], self.right[rows], self.hole[rows], self.partner[rows], self.share
        )


def draw(augment: Augment, count: int, size: tuple[int, int], chance: np.random.Generator) -> Changes:
    """Draw the changes of `count` images of `size` (height, width), the same for whoever draws them."""
    shift = min(augment.shift, min(size) - 1)
    down, right = chance.integers(-shift, shift + 1, (2, count))
    hole = np.stack([chance.integers(0, side, count) for side in size], axis=1)
    mirrored = chance.random(count) < 0.5 if augment.flip else np.zeros(count, dtype=bool)
    if augment.mixup:
        return Changes(
            mirrored, down, right, hole, chance.permutation(count), float(chance.beta(augment.mixup, augment.mixup))
        )
    return Changes(mirrored, down, right, hole, np.arange(count), 1.0)


def apply(augment: Augment, images: np.ndarray, changes: Changes) -> np.ndarray:
    """The changed images, without mixup.

    Parameters
    ----------
    images
        uint8 (count, height, width, channels).
    changes
        One row for each of these images.

    Returns
    -------
    numpy.ndarray
        uint8, the same shape; `images` itself if nothing is to be changed.
    """
    count, height, width = images.shape[:3]
    if augment.shift or augment.flip:
        rows = reflect(np.arange(height) + changes.down[:, None], height)
        columns = np.where(changes.mirrored[:, None], np.arange(width)[::-1], np.arange(width))
        columns = reflect(columns + changes.right[:, None], width)
        images = images[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    if augment.cutout:
        above, left = (changes.hole[:, axis, None] - augment.cutout // 2 for axis in (0, 1))
        in_rows = (np.arange(height) >= above) & (np.arange(height) < above + augment.cutout)
        in_columns = (np.arange(width) >= left) & (np.arange(width) < left + augment.cutout)
        hidden = in_rows[:, :, None] & in_columns[:, None, :]
        images = np.where(hidden[..., None], np.uint8(128), images)
    return images


def reflect(index: np.ndarray, length: int) -> np.ndarray:
    """Indices mirrored at both ends of `length` values, for indices less than `length` outside."""
    last = length - 1
    return last - np.abs(last - np.abs(index))
