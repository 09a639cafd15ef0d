"""Importers and quantizers turn real factors into mult and shift; both must mean the same."""

from __future__ import annotations

import numpy as np
import torch

from deepdive.qnet import dyadic as qnet
from deepdive.quantization import grid


def test_torch_and_numpy_give_the_same_mult_and_shift() -> None:
    drawn = 2.0 ** np.random.default_rng(0).uniform(-55, 20, 20_000)
    edges = [0.0, 65535.7 / 65536, 65535.5 / 65536, 32767.5, 32768.0, 1.0, 0.5, 2.0**-48, 2.0**-49, 2.0**-50]
    factors = np.concatenate([drawn, edges])
    mult, shift = qnet.dyadic(factors)
    trained = grid.dyadic(torch.from_numpy(factors))
    assert np.array_equal(mult, trained.mult.numpy())
    assert np.array_equal(shift, trained.shift.numpy())
