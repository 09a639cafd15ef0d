"""The operators of the integer network, as plain data. What they compute stands in `deepdive.qnet.reference`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from deepdive.errors import DeepDiveError
from deepdive.qnet.feature_map import MAX_ELEMENTS, FeatureMap

Rounding = Literal["half_up", "floor"]
MAX_SHIFT = 48  # acc (32 bits) * mult (16 bits): beyond 48 every product rounds to nothing
INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1


@dataclass(frozen=True, eq=False)
class Requantize:
    """From an int32 accumulator to codes: ``clip(((acc * mult + half) >> shift) + zero_point, q_min, q_max)``.

    Parameters
    ----------
    mult
        uint16, one per output channel, or shape (1,) for the tensor.
    shift
        uint8, 1..48, same shape; ``half`` is ``1 << (shift - 1)``, or 0 when `rounding` is ``"floor"``.
    q_min, q_max
        The clip: all of ReLU and ReLU6.
    """

    mult: np.ndarray
    shift: np.ndarray
    q_min: int
    q_max: int
    rounding: Rounding = "half_up"

    def check(self, name: str, output: FeatureMap, channels: int) -> None:
        """Refuse, naming the node, what the contract does not allow."""
        for label, values, dtype in (("mult", self.mult, np.uint16), ("shift", self.shift, np.uint8)):
            if values.dtype != dtype or values.shape not in ((1,), (channels,)):
                raise DeepDiveError(
                    f"'{name}': {label} is {values.dtype}{values.shape}; "
                    f"want {np.dtype(dtype)} of shape (1,) or ({channels},)."
                )
        if self.mult.shape != self.shift.shape:
            raise DeepDiveError(
                f"'{name}': mult has shape {self.mult.shape} but shift {self.shift.shape}; make them equal."
            )
        if self.shift.min() < 1 or self.shift.max() > MAX_SHIFT:
            raise DeepDiveError(f"'{name}': shift {self.shift.min()}..{self.shift.max()} is outside 1..{MAX_SHIFT}.")
        if self.rounding not in ("half_up", "floor"):
            raise DeepDiveError(f"'{name}': rounding '{self.rounding}' is unknown; use 'half_up' or 'floor'.")
        check_clip(name, self.q_min, self.q_max, output)


@dataclass(frozen=True, eq=False)
class Conv:
    """Dense, grouped, depthwise or pointwise convolution and its requantization.

    ``acc = sum((q_x - z_x) * (q_w - z_w)) + bias``; a tap in the padding holds the zero point and adds nothing.

    Parameters
    ----------
    input
        Name of the feature map read.
    weight
        Codes (out_channels, kernel_h, kernel_w, in_channels / groups), int8 or uint8, each within `weight_bits`.
    bias
        int32 (out_channels,).
    stride, padding
        (vertical, horizontal) and (top, left, bottom, right).
    weight_zero_point
        int16 (out_channels,); zeros for DeepDive's own symmetric weights.
    """

    input: str
    output: FeatureMap
    weight: np.ndarray
    weight_bits: int
    bias: np.ndarray
    requantize: Requantize
    weight_zero_point: np.ndarray
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)

    @property
    def name(self) -> str:
        return self.output.name

    @property
    def kernel(self) -> tuple[int, int]:
        """(height, width) of the filter."""
        return int(self.weight.shape[1]), int(self.weight.shape[2])

    @property
    def is_depthwise(self) -> bool:
        """One filter a channel: groups equals both channel counts."""
        return self.groups > 1 and self.groups == self.weight.shape[0] and self.weight.shape[3] == 1

    @property
    def is_pointwise(self) -> bool:
        return self.kernel == (1, 1) and self.stride == (1, 1) and self.groups == 1 and not any(self.padding)

    @property
    def centred_weight(self) -> np.ndarray:
        """int16 (out_channels, kernel_h, kernel_w, in_channels / groups): codes less their zero point."""
        return self.weight.astype(np.int16) - self.weight_zero_point[:, None, None, None]

    def check(self, x: FeatureMap) -> None:
        name = self.name
        check_weights(name, self.weight, self.weight_bits, self.bias, self.weight_zero_point, rank=4)
        out_channels, kh, kw, per_group = self.weight.shape
        if self.groups < 1 or x.shape[2] != per_group * self.groups or out_channels % self.groups:
            raise DeepDiveError(
                f"'{name}': weight {self.weight.shape} with {self.groups} groups "
                f"does not fit {x.shape[2]} input channels."
            )
        if min(self.stride) < 1 or min(self.padding) < 0 or len(self.stride) != 2 or len(self.padding) != 4:
            raise DeepDiveError(f"'{name}': stride {self.stride} and padding {self.padding} must be >= 1 and >= 0.")
        top, left, bottom, right = self.padding
        if max(top, bottom) >= kh or max(left, right) >= kw:
            raise DeepDiveError(f"'{name}': padding {self.padding} must be smaller than the kernel {(kh, kw)}.")
        height, width = x.shape[0] + top + bottom - kh, x.shape[1] + left + right - kw
        if height < 0 or width < 0:
            raise DeepDiveError(f"'{name}': kernel {(kh, kw)} is larger than its padded input {x.shape}.")
        check_shape(name, self.output, (height // self.stride[0] + 1, width // self.stride[1] + 1, out_channels))
        self.requantize.check(name, self.output, out_channels)
        check_int32(name, self.acc_range(x))

    def acc_range(self, x: FeatureMap) -> tuple[int, int]:
        """Smallest and largest value that any partial sum can reach, proven from the weights and the codes of `x`."""
        out_channels, _, _, per_group = self.weight.shape
        zero = np.broadcast_to(x.zero_point_array, (x.shape[2],)).reshape(self.groups, per_group)
        group_of = np.repeat(np.arange(self.groups), out_channels // self.groups)
        # A code less its zero point reaches from low <= 0 to high >= 0.
        low, high = (x.q_min - zero.astype(np.int64))[group_of], (x.q_max - zero.astype(np.int64))[group_of]
        positive = np.maximum(self.centred_weight, 0).sum(axis=(1, 2), dtype=np.int64)
        negative = np.minimum(self.centred_weight, 0).sum(axis=(1, 2), dtype=np.int64)
        largest = (positive * high + negative * low).sum(axis=1) + np.maximum(self.bias, 0)
        smallest = (positive * low + negative * high).sum(axis=1) + np.minimum(self.bias, 0)
        return int(smallest.min()), int(largest.max())

    def macs(self) -> int:
        """Multiplications a frame, those with padding included."""
        height, width, _ = self.output.shape
        return height * width * int(self.weight.size)


@dataclass(frozen=True, eq=False)
class Linear:
    """Fully connected layer on a vector (1, 1, in_features); arithmetic and fields as `Conv`.

    `weight` is (out_features, in_features).
    """

    input: str
    output: FeatureMap
    weight: np.ndarray
    weight_bits: int
    bias: np.ndarray
    requantize: Requantize
    weight_zero_point: np.ndarray

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)

    @property
    def name(self) -> str:
        return self.output.name

    def as_conv(self) -> Conv:
        """The same layer as a pointwise convolution on a 1x1 map."""
        return Conv(
            self.input,
            self.output,
            self.weight[:, None, None, :],
            self.weight_bits,
            self.bias,
            self.requantize,
            self.weight_zero_point,
        )

    def check(self, x: FeatureMap) -> None:
        check_weights(self.name, self.weight, self.weight_bits, self.bias, self.weight_zero_point, rank=2)
        if x.shape[:2] != (1, 1):
            raise DeepDiveError(f"'{self.name}': Linear reads {x.shape}; flatten or pool it to (1, 1, channels) first.")
        self.as_conv().check(x)

    def acc_range(self, x: FeatureMap) -> tuple[int, int]:
        """As `Conv.acc_range`."""
        return self.as_conv().acc_range(x)

    def macs(self) -> int:
        """Multiplications a frame."""
        return int(self.weight.size)


@dataclass(frozen=True, eq=False)
class Add:
    """Residual add of two maps of one shape: ``clip((((q_a - z_a) * m_a + (q_b - z_b) * m_b + half) >> s) + z_y)``."""

    inputs: tuple[str, str]
    output: FeatureMap
    mult: tuple[int, int]
    shift: int
    q_min: int
    q_max: int
    rounding: Rounding = "half_up"

    @property
    def name(self) -> str:
        return self.output.name

    def check(self, a: FeatureMap, b: FeatureMap) -> None:
        if a.shape != b.shape:
            raise DeepDiveError(f"'{self.name}': adds {a.shape} and {b.shape}; shapes must be equal.")
        check_shape(self.name, self.output, a.shape)
        if any(not 0 <= m < 1 << 16 for m in self.mult) or not 1 <= self.shift <= MAX_SHIFT:
            raise DeepDiveError(
                f"'{self.name}': mult {self.mult}, shift {self.shift} outside 0..65535, 1..{MAX_SHIFT}."
            )
        if self.rounding not in ("half_up", "floor"):
            raise DeepDiveError(f"'{self.name}': rounding '{self.rounding}' is unknown; use 'half_up' or 'floor'.")
        check_clip(self.name, self.q_min, self.q_max, self.output)

    def macs(self) -> int:
        return 0


@dataclass(frozen=True, eq=False)
class GlobalAvgPool:
    """Mean over height and width: the sum of ``q - z``, requantized with 1/(H*W) inside mult and shift (shape (1,))."""

    input: str
    output: FeatureMap
    requantize: Requantize

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)

    @property
    def name(self) -> str:
        return self.output.name

    def check(self, x: FeatureMap) -> None:
        check_shape(self.name, self.output, (1, 1, x.shape[2]))
        self.requantize.check(self.name, self.output, 1)
        check_int32(self.name, self.acc_range(x))

    def acc_range(self, x: FeatureMap) -> tuple[int, int]:
        """Smallest and largest partial sum."""
        pixels, zero = x.shape[0] * x.shape[1], x.zero_point_array
        return pixels * (x.q_min - int(zero.max())), pixels * (x.q_max - int(zero.min()))

    def macs(self) -> int:
        return 0


@dataclass(frozen=True, eq=False)
class ChannelScale:
    """Squeeze-excite: every pixel times one factor a channel, ``acc = (q_x - z_x) * (q_s - z_s)``, requantized.

    ``inputs`` are the map (H, W, C) and the factors (1, 1, C).
    """

    inputs: tuple[str, str]
    output: FeatureMap
    requantize: Requantize

    @property
    def name(self) -> str:
        return self.output.name

    def check(self, x: FeatureMap, factors: FeatureMap) -> None:
        if factors.shape != (1, 1, x.shape[2]):
            raise DeepDiveError(f"'{self.name}': factors have shape {factors.shape}; want (1, 1, {x.shape[2]}).")
        check_shape(self.name, self.output, x.shape)
        self.requantize.check(self.name, self.output, 1)

    def macs(self) -> int:
        height, width, channels = self.output.shape
        return height * width * channels


@dataclass(frozen=True, eq=False)
class Table:
    """One output code for each input code (hard-swish, sigmoid, ...).

    `values` holds ``2**bits`` output codes, the first for the smallest input code; its dtype is the output's.
    """

    input: str
    output: FeatureMap
    values: np.ndarray = field(repr=False)

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)

    @property
    def name(self) -> str:
        return self.output.name

    def check(self, x: FeatureMap) -> None:
        check_shape(self.name, self.output, x.shape)
        if self.values.shape != (1 << x.bits,) or self.values.dtype != self.output.dtype:
            raise DeepDiveError(
                f"'{self.name}': table is {self.values.dtype}{self.values.shape}; "
                f"want {self.output.dtype}({1 << x.bits},)."
            )
        if self.values.min() < self.output.q_min or self.values.max() > self.output.q_max:
            raise DeepDiveError(f"'{self.name}': table holds codes outside {self.output.q_min}..{self.output.q_max}.")

    def macs(self) -> int:
        return 0


Node = Conv | Linear | Add | GlobalAvgPool | ChannelScale | Table


def check_weights(
    name: str, weight: np.ndarray, bits: int, bias: np.ndarray, zero_point: np.ndarray, *, rank: int
) -> None:
    """Refuse weights, bias or weight zero points of a wrong type, shape or range."""
    if not 2 <= bits <= 8:
        raise DeepDiveError(f"'{name}': weights have {bits} bits; choose 2 to 8.")
    if weight.ndim != rank or weight.dtype not in (np.int8, np.uint8) or not 0 < weight.size <= MAX_ELEMENTS:
        raise DeepDiveError(f"'{name}': weight is {weight.dtype}{weight.shape}; want {rank}-D int8 or uint8.")
    signed = weight.dtype == np.int8
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if weight.min() < low or weight.max() > high:
        raise DeepDiveError(
            f"'{name}': weight codes {weight.min()}..{weight.max()} exceed {bits} bits ({low}..{high})."
        )
    if bias.dtype != np.int32 or bias.shape != weight.shape[:1]:
        raise DeepDiveError(f"'{name}': bias is {bias.dtype}{bias.shape}; want int32({weight.shape[0]},).")
    if zero_point.dtype != np.int16 or zero_point.shape != weight.shape[:1]:
        raise DeepDiveError(
            f"'{name}': weight zero point is {zero_point.dtype}{zero_point.shape}; want int16({weight.shape[0]},)."
        )
    if zero_point.min() < low or zero_point.max() > high:
        raise DeepDiveError(f"'{name}': a weight zero point lies outside the weight codes {low}..{high}.")


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
