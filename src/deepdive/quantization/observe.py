"""Ranges of a batch that several processes share: each sees its part, all get the same range."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from deepdive.models.batch_moments import is_shared
from deepdive.quantization.ranges import RangeMethod, RangeObserver


def extremes(x: Tensor) -> Tensor:
    """Smallest and largest value of the whole batch, (2,)."""
    low, high = torch.aminmax(x)
    both = torch.stack([-low, high])
    if is_shared():
        dist.all_reduce(both, dist.ReduceOp.MAX)
    return both * both.new_tensor([-1.0, 1.0])


def range_of(x: Tensor, how: RangeMethod, bits: int) -> tuple[float, float]:
    """The range to cover for codes of `bits` bits, chosen from the values of the whole batch."""
    observer = RangeObserver()
    observer.low, observer.high = extremes(x).tolist()
    if how.method != "minmax":
        observer.see_values(x)
        if is_shared():
            counts = observer.counts.to(x.device)
            dist.all_reduce(counts)
            observer.counts = counts.cpu()
    return observer.choose(how, bits)
