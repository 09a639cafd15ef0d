"""Integer codes in torch, and the dyadic rescaling between them. All of it equals `deepdive.qnet.reference` exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from deepdive.qnet.dyadic import MAX_MULT, MULT_BITS
from deepdive.qnet.ops import MAX_SHIFT


@dataclass(frozen=True)
class Grid:
    """What the codes of one feature map mean: real value = ``scale * (code - zero_point)``.

    Parameters
    ----------
    scale
        float64, 0-d.
    zero_point
        Integers as float64, (1,) or, for raw pixels, (channels,).
    q_min, q_max
        The range of codes.
    """

    scale: Tensor
    zero_point: Tensor
    q_min: int
    q_max: int

    @property
    def low(self) -> Tensor:
        """Smallest centred code, shape of the zero point."""
        return self.q_min - self.zero_point

    @property
    def high(self) -> Tensor:
        """Largest centred code, shape of the zero point."""
        return self.q_max - self.zero_point


class Codes(NamedTuple):
    """A feature map (N, C, H, W) of centred codes ``q - z``, integers in a float tensor."""

    values: Tensor
    grid: Grid

    def real(self) -> Tensor:
        """The real values, float64."""
        return self.values.double() * self.grid.scale


@dataclass(frozen=True)
class Dyadic:
    """``mult / 2**shift``: float64 integers, mult 0..65535, shift 1..48."""

    mult: Tensor
    shift: Tensor

    @property
    def value(self) -> Tensor:
        """The factor as float64, exact."""
        return self.mult * torch.exp2(-self.shift)

    def apply(self, acc: Tensor) -> Tensor:
        """``(acc * mult + (1 << (shift - 1))) >> shift`` on float64 integers.

        Exact: ``|acc * mult|`` is below 2**47 and scaling by a power of two loses nothing in float64.
        """
        half = torch.exp2(self.shift - 1)
        return (acc * self.mult).add_(half).mul_(torch.exp2(-self.shift)).floor_()


def dyadic(factor: Tensor) -> Dyadic:
    """The nearest ``mult / 2**shift`` to positive factors; mult is in [2**15, 2**16) where the shift's range allows it.

    A factor beyond 32767.5 is cut to it; one below 2**-49 becomes 0.
    """
    factor = factor.double()
    _, exponent = torch.frexp(factor)
    shift = (MULT_BITS - exponent).clamp(1, MAX_SHIFT)
    mult = torch.round(torch.ldexp(factor, shift))
    overflow = (mult > MAX_MULT) & (shift > 1)  # 65535.7 rounds to 65536
    shift = torch.where(overflow, shift - 1, shift)
    mult = torch.round(torch.ldexp(factor, shift)).clamp(max=MAX_MULT)
    return Dyadic(mult, shift.double())


def dyadic_pair(first: Tensor, second: Tensor) -> tuple[Dyadic, Dyadic]:
    """Two factors with one shift, the larger one normalised: the inputs of a residual add."""
    largest = dyadic(torch.maximum(first, second))
    mults = [torch.round(torch.ldexp(one.double(), largest.shift)).clamp(max=MAX_MULT) for one in (first, second)]
    return Dyadic(mults[0], largest.shift), Dyadic(mults[1], largest.shift)
