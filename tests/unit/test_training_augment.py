"""Augmentation of whole batches, and the order of images, whatever the number of processes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from deepdive.errors import DeepDiveError
from deepdive.training.augment import Augment, Changes, apply, draw, reflect
from deepdive.training.batches import Batches, Normalize, shrunk
from deepdive.training.image_set import ImageSet
from deepdive.training.order import Order

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 6, 5, 3), dtype=np.uint8)
DATA = ImageSet(IMAGES, np.arange(24) % 4, tuple("abcd"))
EVERYTHING = Augment(flip=True, shift=2, cutout=3, mixup=0.4)


def changes(count: int, **given: object) -> Changes:
    zero = np.zeros(count, dtype=np.int64)
    values = {"mirrored": zero.astype(bool), "down": zero, "right": zero, "hole": np.zeros((count, 2), dtype=np.int64)}
    return Changes(**{**values, "partner": np.arange(count), "share": 1.0, **given})


def test_shift_and_flip_are_those_of_single_images() -> None:
    augment = Augment(flip=True, shift=2)
    drawn = draw(augment, 24, (6, 5), np.random.default_rng(1))
    result = apply(augment, IMAGES, drawn)
    assert set(drawn.down.tolist()) == set(drawn.right.tolist()) == {-2, -1, 0, 1, 2}
    for image, mirrored, down, right, got in zip(IMAGES, drawn.mirrored, drawn.down, drawn.right, result, strict=True):
        wide = np.pad(image[:, ::-1] if mirrored else image, ((2, 2), (2, 2), (0, 0)), mode="reflect")
        # Columns are taken at `right` from the unmirrored picture's coordinates, before the mirror.
        at = 2 + (-right if mirrored else right)
        assert np.array_equal(got, wide[2 + down : 8 + down, at : at + 5])


def test_cutout_paints_a_square_that_may_reach_over_the_border() -> None:
    augment = Augment(cutout=3)
    holes = np.array([[2, 2], [0, 4]])
    result = apply(augment, IMAGES[:2], changes(2, hole=holes))
    painted = (result == 128).all(axis=3)
    assert painted[0, 1:4, 1:4].all()
    assert painted[0].sum() == 9 + (IMAGES[0] == 128).all(axis=2).sum()
    assert painted[1, 0:2, 3:5].all()
    assert np.array_equal(result[1, 2:], IMAGES[1, 2:])


def test_nothing_asked_changes_nothing() -> None:
    assert apply(Augment(), IMAGES, draw(Augment(), 24, (6, 5), np.random.default_rng(0))) is IMAGES


@given(length=st.integers(1, 9), data=st.data())
def test_reflect(length: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(-length + 1, 2 * length - 2))
    padded = np.pad(np.arange(length), length - 1, mode="reflect") if length > 1 else np.zeros(1, dtype=int)
    assert reflect(np.array([index]), length)[0] == padded[index + length - 1]


def epoch_of(process: int, processes: int, augment: Augment, start: int = 0) -> list:
    order = Order(len(DATA), 8, seed=3, process=process, processes=processes)
    batches = Batches(DATA, order, augment, torch.device("cpu"))
    return list(batches.epoch(5, start))


@pytest.mark.parametrize("augment", [Augment(), EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_the_very_batches_of_one(augment: Augment, processes: int) -> None:
    alone = epoch_of(0, 1, augment)
    shares = [epoch_of(process, processes, augment) for process in range(processes)]
    assert len(alone) == 3
    for step, whole in enumerate(alone):
        parts = [share[step] for share in shares]
        assert torch.equal(torch.cat([part.pixels for part in parts]), whole.pixels)
        assert torch.equal(torch.cat([part.labels for part in parts]), whole.labels)
        assert torch.equal(torch.cat([part.partners for part in parts]), whole.partners)
        assert all(part.share == whole.share for part in parts)


def test_an_epoch_can_start_anywhere() -> None:
    whole, rest = epoch_of(0, 1, EVERYTHING), epoch_of(0, 1, EVERYTHING, start=2)
    assert len(rest) == 1
    assert torch.equal(rest[0].pixels, whole[2].pixels)


def test_every_image_comes_once_an_epoch_and_in_another_order_the_next() -> None:
    order = Order(24, 8, seed=0)
    first, second = order.epoch(0), order.epoch(1)
    assert sorted(first.ravel()) == list(range(24)) == sorted(second.ravel())
    assert not np.array_equal(first, second)


def test_mixup_mixes_images_and_names_both_classes() -> None:
    augment = Augment(mixup=1.0)
    order = Order(len(DATA), 8, seed=0)
    batch = next(Batches(DATA, order, augment, torch.device("cpu")).epoch(0))
    indices = order.epoch(0)[0]
    drawn = draw(augment, 8, (6, 5), order.chance(0, 0))
    pixels = torch.from_numpy(IMAGES[indices]).double()
    assert 0 < batch.share < 1
    assert torch.equal(batch.labels, torch.from_numpy(DATA.labels[indices]))
    assert torch.equal(batch.partners, torch.from_numpy(DATA.labels[indices[drawn.partner]]))
    assert batch.pixels.dtype == torch.uint8
    exact = batch.share * pixels + (1 - batch.share) * pixels[drawn.partner]
    assert (batch.pixels - exact).abs().max() < 0.501  # rounded


def test_normalize_is_per_channel() -> None:
    images = Normalize((1.0, 2.0, 3.0), (2.0, 4.0, 8.0))(torch.from_numpy(IMAGES[:1]))
    assert images.shape == (1, 3, 6, 5)
    assert images.dtype == torch.float32
    assert images[0, 2, 1, 4] == (float(IMAGES[0, 1, 4, 2]) - 3) / 8


def test_smaller_images_are_those_of_pillow() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    ours = shrunk(torch.from_numpy(image)[None], 24)[0].numpy().astype(int)
    theirs = np.asarray(Image.fromarray(image).resize((24, 24), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(ours - theirs).max() <= 1  # Pillow rounds between rows and columns
    assert np.abs(ours - image[::4, ::4].repeat(3, 0).repeat(3, 1)).max() > 50


def test_a_batch_must_be_shared_evenly() -> None:
    with pytest.raises(DeepDiveError, match="A batch of 9 images cannot be shared evenly by 2 processes"):
        Order(24, 9, seed=0, processes=2)
    with pytest.raises(DeepDiveError, match="A batch of 32 is more than the 24 training images"):
        Order(24, 32, seed=0)
