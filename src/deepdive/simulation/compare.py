"""Comparing an engine's feature maps with the reference: equality is ==, and the first difference is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Comparison:
    """How many values of how many maps were compared and differ; `first_difference` names one, or is None."""

    maps: int
    values: int
    differing: int
    first_difference: str | None


def compare(got: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> Comparison:
    """Compare every map in `got`, in its order, with the one of that name in `wanted`; both (batch, H, W, C) codes."""
    values = differing = 0
    first = None
    for name, codes in got.items():
        reference = wanted[name]
        values += reference.size
        if codes.shape != reference.shape:
            differing += reference.size
            first = first or f"'{name}' has shape {codes.shape}, the reference {reference.shape}"
            continue
        unequal = codes != reference
        count = int(np.count_nonzero(unequal))
        differing += count
        if count and first is None:
            index = tuple(int(i) for i in np.argwhere(unequal)[0])
            first = (
                f"'{name}' differs first at {index} (image, row, column, channel): "
                f"it gives {codes[index]}, the reference {reference[index]}"
            )
    return Comparison(len(got), values, differing, first)
