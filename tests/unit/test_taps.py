"""The order in which depthwise multipliers take the taps of a window."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from deepdive.hardware.stages.taps import Taps, all_at_once, covers, taps_of


def test_a_small_filter_in_a_large_window_takes_the_first_steps() -> None:
    small, large = (taps_of((n, n), (5, 5), [(5, 5), (3, 3)], 9) for n in (3, 5))
    assert small.order == large.order
    assert sorted(small.of_step(0)) == [6, 7, 8, 11, 12, 13, 16, 17, 18]
    assert (small.steps, large.steps, large.most_steps) == (1, 3, 3)


@pytest.mark.parametrize("parallel", range(1, 27))
@pytest.mark.parametrize("kernel", [(3, 3), (5, 5), (2, 4), (5, 1)])
def test_all_taps_of_a_filter_are_in_its_steps(kernel: tuple[int, int], parallel: int) -> None:
    taps = taps_of(kernel, (5, 5), [(3, 3), (5, 5), (2, 4), (5, 1)], parallel)
    done = [tap for step in range(taps.steps) for tap in taps.of_step(step)]
    own = {tap for tap in range(25) if covers(kernel, (5, 5), tap)}
    assert len(own) == kernel[0] * kernel[1]
    assert own <= set(done)
    assert len(done) == len(set(done))
    assert own & set(taps.of_step(taps.steps - 1))


def test_the_middle_is_the_one_of_the_weights() -> None:
    """Where `depthwise_weights` puts a filter that is smaller than the window."""
    full = np.zeros((4, 5), dtype=int)
    full[(4 - 3) // 2 : (4 - 3) // 2 + 3, (5 - 2) // 2 : (5 - 2) // 2 + 2] = 1
    assert [covers((3, 2), (4, 5), tap) for tap in range(20)] == full.astype(bool).ravel().tolist()


def test_what_is_no_order_is_refused() -> None:
    assert all_at_once(9).steps == 1
    with pytest.raises(ValidationError, match="no order"):
        Taps(parallel=2, order=(0, 0, 1), steps=1)
    with pytest.raises(ValidationError, match="do not take 3 steps"):
        Taps(parallel=2, order=(0, 1, 2), steps=3)
