"""Comparison of an engine's maps with the reference names what differs."""

from __future__ import annotations

import numpy as np

from deepdive.simulation.compare import compare


def maps() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {name: rng.integers(0, 256, (2, 3, 4, 5), dtype=np.uint8) for name in ("stem", "head")}


def test_equal_maps() -> None:
    found = compare(maps(), maps())
    assert (found.maps, found.values, found.differing, found.first_difference) == (2, 240, 0, None)


def test_first_difference_is_named_with_both_values() -> None:
    got, wanted = maps(), maps()
    got["stem"][1, 2, 0, 3] ^= 1
    got["head"][0, 0, 0, 0] ^= 1
    found = compare(got, wanted)
    assert found.differing == 2
    assert found.first_difference == (
        "'stem' differs first at (1, 2, 0, 3) (image, row, column, channel): "
        f"it gives {got['stem'][1, 2, 0, 3]}, the reference {wanted['stem'][1, 2, 0, 3]}"
    )


def test_only_the_maps_that_the_engine_gives_are_compared() -> None:
    got = maps()
    del got["head"]
    assert compare(got, maps()).values == 120


def test_a_wrong_shape_differs_in_every_value() -> None:
    got = maps()
    got["head"] = got["head"][:, :2]
    found = compare(got, maps())
    assert found.differing == 120
    assert found.first_difference == "'head' has shape (2, 2, 4, 5), the reference (2, 3, 4, 5)"
