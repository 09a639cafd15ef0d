"""What quantized numbers look like to gradient descent: rounded on the way forth, straight through on the way back.

The gradients are those of learned step size quantization, LSQ (Esser 2020, arXiv 1902.08153, equations 3 and 5): inside
the range a rounded value passes its gradient on, outside it passes none, and the step learns from both.

A training step of a small network is bound by memory: every pass over a feature map counts. So a map is rounded in one
pass over memory, block by block, with all operations on a block while it is in the cache; and the step's gradient needs
no map of its own but two dot products.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from deepdive.quantization.grid import Grid

BLOCK = 1 << 18  # values, 1 MiB: small for the last cache of a CPU, large beside the cost of calling an operation


class Simulated(NamedTuple):
    """A feature map while training: real values on `grid`, float32 (N, C, H, W), with a gradient."""

    values: Tensor
    grid: Grid


class Steps(NamedTuple):
    """How a feature map is rounded: centred codes `low`..`high` kept; `gain` scales the gradient of the step."""

    low: float
    high: float
    gain: float


def dense(x: Tensor) -> Tensor:
    """The map itself, or a copy, with no gap in memory."""
    ordered = x.is_contiguous() or (x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last))
    return (
        x if ordered else x.contiguous(memory_format=torch.channels_last if x.dim() == 4 else torch.contiguous_format)
    )


def in_memory_order(x: Tensor) -> Tensor:
    """A dense map as a vector, without a copy."""
    return x.view(-1) if x.is_contiguous() else x.permute(0, 2, 3, 1).reshape(-1)


def blocks(*maps: Tensor) -> Any:
    """The same stretches of memory of several dense maps of one layout."""
    size = BLOCK if maps[0].device.type == "cpu" else max(1, maps[0].numel())
    return zip(*(torch.split(in_memory_order(x), size) for x in maps), strict=True)


class RoundMap(torch.autograd.Function):
    """``step * clip(round(x / step), low, high)`` of a feature map; see `round_map`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Tensor, how: Steps) -> Tensor:
        x = dense(x)
        y = torch.empty_like(x)
        size = float(step)
        for given, result in blocks(x, y):
            torch.mul(given, 1 / size, out=result).round_().clamp_(how.low, how.high).mul_(size)
        ctx.save_for_backward(x, y)
        ctx.size, ctx.how, ctx.step_type = size, how, step.dtype
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None]:
        x, y = ctx.saved_tensors
        how, size = ctx.how, ctx.size
        same = x.is_contiguous() == gradient.is_contiguous() and gradient.stride() == x.stride()
        gradient = gradient if same else torch.empty_like(x).copy_(gradient)
        passed = torch.empty_like(x)
        low, high, learns = how.low * size, how.high * size, ctx.needs_input_grad[1]
        sums = []
        for g, given, result, out in blocks(gradient, x, y, passed):
            torch.ops.aten.hardtanh_backward.grad_input(g, given, low, high, grad_input=out)
            if learns:
                # Inside (y - x) / step, outside y / step: the second is what the first lacks where `out` is 0.
                sums.append(torch.dot(g, result) - torch.dot(out, given))
        if not learns:
            return passed, None, None
        total = torch.stack(sums).double().sum() * (how.gain / size)
        return passed, total.to(ctx.step_type), None


def round_map(x: Tensor, step: Tensor, how: Steps) -> Tensor:
    """Round a feature map to its grid.

    Parameters
    ----------
    x
        Real values, float32 (N, C, H, W).
    step
        Distance of two codes, 0-d, positive.
    how
        Codes that are kept, without zero point, and the gain of the step's gradient.

    Returns
    -------
    Real values on the grid. Halves are rounded to even, one operation less than the contract's way; they are rare.
    """
    result: Tensor = RoundMap.apply(x, step, how)  # type: ignore[no-untyped-call]
    return result


class RoundWeight(torch.autograd.Function):
    """``exact * codes`` of a weight, one step an output channel; see `round_weight`."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, step: Tensor, codes: Tensor, limits: Steps, exact: Tensor) -> Tensor:
        ctx.save_for_backward(weight, step, codes)
        ctx.limits = limits
        return codes * exact

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None, None, None]:
        weight, step, codes = ctx.saved_tensors
        limits = ctx.limits
        exact = weight / step
        inside = (exact > limits.low) & (exact < limits.high)
        passed = gradient * inside
        if not ctx.needs_input_grad[1]:
            return passed, None, None, None, None
        slope = gradient * codes - passed * exact
        return passed, slope.sum(tuple(range(1, weight.dim())), keepdim=True) * limits.gain, None, None, None


def round_weight(weight: Tensor, step: Tensor, codes: Tensor, limits: Steps, exact: Tensor) -> Tensor:
    """``exact * codes``, where `codes` are those of `weight` for `step`, with the gradients of rounding it.

    Parameters
    ----------
    weight, codes
        float32 (O, ...).
    step
        float32, one an output channel, in a shape that broadcasts.
    limits
        Smallest and largest code, and the gain of the steps' gradient.
    exact
        The step, or what the contract can express of it (straight through).
    """
    result: Tensor = RoundWeight.apply(weight, step, codes, limits, exact)  # type: ignore[no-untyped-call]
    return result
