"""What is known of a tensor of a foreign graph: real numbers, and how they come from integer codes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from deepdive.errors import DeepDiveError, UnsupportedLayer
from deepdive.qnet.feature_map import FeatureMap

Dims = tuple[int, ...]
"""Dimensions without the batch: (channels, height, width) or (features,)."""


@dataclass(frozen=True)
class Grid:
    """How real numbers become codes.

    Parameters
    ----------
    q_min, q_max
        The codes in use; fewer than `bits` allow where the range is narrow.
    rounding
        ``"ROUND"`` (half to even), ``"FLOOR"``, ``"CEIL"``, ...: QONNX's names.
    """

    scale: float
    zero_point: int
    bits: int
    signed: bool
    q_min: int
    q_max: int
    rounding: str = "ROUND"

    def feature_map(self, name: str, shape: tuple[int, int, int]) -> FeatureMap:
        """A map of these codes."""
        return FeatureMap(name, shape, self.bits, self.signed, self.scale, self.zero_point)

    def code_of(self, value: float) -> float:
        """The code next to a real value, unclipped."""
        return float(np.rint(value / self.scale)) + self.zero_point

    def codes(self, values: np.ndarray) -> np.ndarray:
        """Codes (float64) of real values, divided in single precision as the source's runtime does."""
        steps = values.astype(np.float32) / np.float32(self.scale) + np.float32(self.zero_point)
        return np.clip(rounded(steps, self.rounding), self.q_min, self.q_max)

    def same_codes(self, x: FeatureMap) -> bool:
        """Whether the codes of `x` mean the same and are all in use."""
        mine = (self.scale, self.zero_point, self.q_min, self.q_max)
        return mine == (x.scale, x.zero_point, x.q_min, x.q_max)


ROUNDINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "ROUND": np.rint,
    "HALF_EVEN": np.rint,
    "FLOOR": np.floor,
    "CEIL": np.ceil,
    "ROUND_TO_ZERO": np.trunc,
    "DOWN": np.trunc,
    "HALF_UP": lambda values: np.sign(values) * np.floor(np.abs(values) + 0.5),
}


def rounded(values: np.ndarray, how: str) -> np.ndarray:
    """Integers as float64."""
    return np.asarray(ROUNDINGS[how](values), dtype=np.float64)


@dataclass(frozen=True)
class Const:
    """Known numbers; with `codes`, they are ``scale * (codes - zero_point)``, all of one shape.

    `values` are float64, or of their own type where the graph holds integers.
    """

    values: np.ndarray
    codes: np.ndarray | None = None
    scale: np.ndarray | None = None
    zero_point: np.ndarray | None = None
    bits: int = 8

    @property
    def dims(self) -> Dims:
        return self.values.shape

    def scalar(self, what: str) -> float:
        """The one number it holds."""
        if self.values.size != 1:
            raise DeepDiveError(f"its {what} has {self.values.size} values; want one for the tensor")
        return float(self.values.reshape(-1)[0])

    def integers(self, what: str, most: int = 64) -> list[int]:
        """The few integers it holds."""
        flat = self.values.reshape(-1)
        if flat.size > most or (flat.dtype.kind == "f" and not (np.abs(flat) < 2.0**53).all()):
            raise DeepDiveError(f"its {what} are no short list of integers")
        return [int(one) for one in flat]

    def moved(self, move: Callable[[np.ndarray], np.ndarray]) -> Const:
        """`move` done to values, codes, scale and zero point alike."""
        parts = [None if part is None else move(part) for part in (self.codes, self.scale, self.zero_point)]
        return Const(move(self.values), parts[0], parts[1], parts[2], self.bits)


@dataclass(frozen=True)
class Raw:
    """The graph's input before it is quantized."""

    dims: Dims


@dataclass(frozen=True)
class Quantized:
    """Codes themselves, as QuantizeLinear writes them."""

    function: Function

    @property
    def dims(self) -> Dims:
        return self.function.dims


@dataclass(frozen=True)
class Function:
    """Real numbers that are a function of one feature map's codes.

    Parameters
    ----------
    root
        That map.
    values
        float64, the real number for each of its codes, the smallest code's first; none where the codes mean something
        else in every channel (pixels).
    map
        The map whose own meaning these numbers are, if there is one: `root`, or a table of it.
    order
        (channels, height, width) of the map that was flattened to this vector; None if its order is the same in both
        layouts.
    """

    dims: Dims
    root: FeatureMap
    values: np.ndarray
    map: FeatureMap | None
    order: Dims | None = None

    def check_uniform(self) -> None:
        """Refuse pixels with a zero point a channel: no table reads them."""
        if not self.values.size:
            raise UnsupportedLayer("it reads pixels with a zero point a channel; only a convolution can")

    def applied(self, values: np.ndarray) -> Function:
        """Other numbers for the same codes."""
        self.check_uniform()
        return replace(self, values=values, map=None)


def meaning(x: FeatureMap) -> np.ndarray:
    """The real number of every code of `x`."""
    return x.scale * (np.arange(x.q_min, x.q_max + 1) - x.uniform_zero_point).astype(np.float64)


def function_of(x: FeatureMap, dims: Dims, order: Dims | None = None) -> Function:
    """A map as the numbers it means."""
    return Function(dims, x, meaning(x), x, order)


@dataclass(frozen=True)
class Bounds:
    """A clip that the quantization to come has to keep."""

    low: float = -math.inf
    high: float = math.inf

    def clipped(self, low: float, high: float) -> Bounds:
        return Bounds(max(self.low, low), max(min(self.high, high), low))

    @property
    def free(self) -> bool:
        return math.isinf(self.low) and math.isinf(self.high)


@dataclass(frozen=True)
class Weights:
    """Filter of an `Affine`: int8 or uint8 (out, kernel_h, kernel_w, in / groups), zero points int16 (out,)."""

    codes: np.ndarray
    zero_point: np.ndarray
    bits: int
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1
    linear: bool = False


@dataclass(frozen=True)
class Pool:
    """Window of an `Affine` that sums: None for the whole map; `exclude_padding` divides by the taps inside it."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    exclude_padding: bool


@dataclass(frozen=True)
class Affine:
    """``gain * acc + offset``, with an integer accumulator over what `how` says; not quantized yet.

    `gain` and `offset` are float64, one an output channel or of shape (1,).
    """

    dims: Dims
    reads: tuple[FeatureMap, ...]
    how: Weights | Pool | None
    gain: np.ndarray
    offset: np.ndarray
    bounds: Bounds = field(default_factory=Bounds)


@dataclass(frozen=True)
class Sum:
    """Two maps added, not quantized yet: ``scales[0] * (a - z_a) + scales[1] * (b - z_b) + offset``."""

    dims: Dims
    a: FeatureMap
    b: FeatureMap
    scales: tuple[float, float]
    offset: float = 0.0
    bounds: Bounds = field(default_factory=Bounds)


@dataclass(frozen=True)
class Joined:
    """Channels of several maps side by side, not quantized yet."""

    dims: Dims
    parts: tuple[Function, ...]
    bounds: Bounds = field(default_factory=Bounds)


Value = Const | Raw | Quantized | Function | Affine | Sum | Joined
