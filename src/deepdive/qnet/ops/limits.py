"""The limits that every operator keeps: shapes, clips, accumulators, types."""

from __future__ import annotations

from deepdive.errors import DeepDiveError
from deepdive.qnet.feature_map import FeatureMap

INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1


def check_shape(name: str, output: FeatureMap, shape: tuple[int, int, int]) -> None:
    """Refuse an output whose declared shape is not what the operator computes."""
    if output.shape != shape:
        raise DeepDiveError(f"'{name}': output is declared as {output.shape} but computes {shape}.")


def check_clip(name: str, q_min: int, q_max: int, output: FeatureMap) -> None:
    """Refuse clip bounds outside the output's codes."""
    if not output.q_min <= q_min <= q_max <= output.q_max:
        raise DeepDiveError(f"'{name}': clip {q_min}..{q_max} is not within the codes {output.q_min}..{output.q_max}.")


def check_int32(name: str, bounds: tuple[int, int]) -> None:
    """Refuse a layer whose accumulator could leave int32."""
    if bounds[0] < INT32_MIN or bounds[1] > INT32_MAX:
        raise DeepDiveError(
            f"'{name}': its accumulator can reach {bounds[0]}..{bounds[1]}, beyond int32; use fewer bits or channels."
        )


def sum_range(x: FeatureMap, terms: int) -> tuple[int, int]:
    """Smallest and largest sum of `terms` codes of `x` less their zero point."""
    zero = x.zero_point_array
    return terms * (x.q_min - int(zero.max())), terms * (x.q_max - int(zero.min()))


def check_same_codes(name: str, x: FeatureMap, output: FeatureMap) -> None:
    """Refuse an operator that only moves codes around if they mean something else in its output."""
    if (x.bits, x.signed, x.scale, x.zero_point) != (output.bits, output.signed, output.scale, output.zero_point):
        raise DeepDiveError(
            f"'{name}': bits, sign, scale or zero point differ from those of '{x.name}', whose codes it passes on; "
            "put a Table between them."
        )
