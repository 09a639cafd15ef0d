"""Puts a network together operator by operator, with weights from a seed.

Multipliers come from the statistics of the layer, so that codes spread over their range instead of sticking to one end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from deepdive.qnet import (
    Add,
    AvgPool,
    ChannelScale,
    Concat,
    Conv,
    FeatureMap,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Node,
    Pad,
    Preprocess,
    QNet,
    Requantize,
    Table,
)
from deepdive.qnet.ops import MAX_SHIFT, Rounding


@dataclass(frozen=True)
class Numbers:
    """Number formats of an operator and what it writes.

    Parameters
    ----------
    zero_point
        Of the output; None takes the smallest code, as after a ReLU.
    weight_zero_points
        Draw one zero point per output channel instead of zeros.
    mult_bits
        Multipliers lie in ``[2**(mult_bits - 1), 2**mult_bits)``.
    per_channel
        One multiplier and shift per output channel instead of one for the tensor.
    narrow
        Clip to the middle half of the output's codes instead of all of them.
    """

    bits: int = 8
    signed: bool = False
    zero_point: int | None = None
    weight_bits: int = 8
    weight_signed: bool = True
    weight_zero_points: bool = False
    mult_bits: int = 16
    per_channel: bool = True
    rounding: Rounding = "half_up"
    narrow: bool = False

    def output(self, name: str, shape: tuple[int, int, int], scale: float) -> FeatureMap:
        """The feature map of these formats."""
        smallest = -(1 << (self.bits - 1)) if self.signed else 0
        zero_point = smallest if self.zero_point is None else self.zero_point
        return FeatureMap(name, shape, self.bits, self.signed, scale, zero_point)


@dataclass(frozen=True)
class Window:
    """Geometry of a convolution; padding is (top, left, bottom, right)."""

    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    @classmethod
    def same(cls, kernel: int, stride: int = 1) -> Window:
        """An odd square kernel centred on its pixel."""
        return cls((kernel, kernel), (stride, stride), (kernel // 2,) * 4)

    def output(self, shape: tuple[int, int, int]) -> tuple[int, int]:
        """Height and width of what a convolution of a map of `shape` writes."""
        top, left, bottom, right = self.padding
        height, width = shape[0] + top + bottom - self.kernel[0], shape[1] + left + right - self.kernel[1]
        return height // self.stride[0] + 1, width // self.stride[1] + 1


class NetworkBuilder:
    """Adds operators to a network; each method returns the feature map it writes."""

    def __init__(self, source: FeatureMap, seed: int = 0) -> None:
        self.source = source
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Node] = []

    def build(self, name: str = "drawn", preprocess: Preprocess | None = None, labels: tuple[str, ...] = ()) -> QNet:
        """The network so far."""
        return QNet(name, self.source, tuple(self.nodes), preprocess, labels)

    def add_node(self, node: Node) -> FeatureMap:
        self.nodes.append(node)
        return node.output

    def conv(
        self, name: str, x: FeatureMap, channels: int, window: Window, numbers: Numbers, groups: int = 1
    ) -> FeatureMap:
        """A convolution to `channels` output channels."""
        shape = (channels, *window.kernel, x.shape[2] // groups)
        weight, zero_point = self.weights(shape, numbers)
        output = numbers.output(name, (*window.output(x.shape), channels), self.scale())
        spread = self.spread(x, weight, zero_point)
        return self.add_node(
            Conv(
                x.name,
                output,
                weight,
                numbers.weight_bits,
                self.bias(spread),
                self.requantize(output, numbers, spread),
                zero_point,
                window.stride,
                window.padding,
                groups,
            )
        )

    def depthwise(self, name: str, x: FeatureMap, window: Window, numbers: Numbers) -> FeatureMap:
        """A convolution of each channel by itself."""
        return self.conv(name, x, x.shape[2], window, numbers, groups=x.shape[2])

    def linear(self, name: str, x: FeatureMap, features: int, numbers: Numbers) -> FeatureMap:
        """A fully connected layer."""
        weight, zero_point = self.weights((features, x.shape[2]), numbers)
        output = numbers.output(name, (1, 1, features), self.scale())
        spread = self.spread(x, weight, zero_point)
        how = self.requantize(output, numbers, spread)
        return self.add_node(Linear(x.name, output, weight, numbers.weight_bits, self.bias(spread), how, zero_point))

    def add(self, name: str, a: FeatureMap, b: FeatureMap, numbers: Numbers) -> FeatureMap:
        """A residual add that gives both sides about the same weight."""
        output = numbers.output(name, a.shape, self.scale())
        spread = np.array([max(code_rms(a), code_rms(b))])
        how = self.requantize(output, replace(numbers, per_channel=False), spread)
        mult = int(how.mult[0])
        other = int(self.rng.integers(0, mult + 1))
        return self.add_node(
            Add((a.name, b.name), output, (mult, other), int(how.shift[0]), how.q_min, how.q_max, how.rounding)
        )

    def global_avg_pool(self, name: str, x: FeatureMap, numbers: Numbers) -> FeatureMap:
        """The mean over height and width."""
        output = numbers.output(name, (1, 1, x.shape[2]), self.scale())
        pixels = x.shape[0] * x.shape[1]
        how = self.requantize(output, replace(numbers, per_channel=False), np.array([pixels * code_rms(x)]))
        return self.add_node(GlobalAvgPool(x.name, output, how))

    def channel_scale(self, name: str, x: FeatureMap, factors: FeatureMap, numbers: Numbers) -> FeatureMap:
        """Every pixel times one factor a channel."""
        output = numbers.output(name, x.shape, self.scale())
        spread = np.array([code_rms(x) * code_rms(factors)])
        how = self.requantize(output, replace(numbers, per_channel=False), spread)
        return self.add_node(ChannelScale((x.name, factors.name), output, how))

    def table(self, name: str, x: FeatureMap, numbers: Numbers, scale: float | None = None) -> FeatureMap:
        """Any function of one code; the output's scale is drawn when none is asked for."""
        output = numbers.output(name, x.shape, self.scale() if scale is None else scale)
        values = self.rng.integers(output.q_min, output.q_max, 1 << x.bits, endpoint=True)
        return self.add_node(Table(x.name, output, values.astype(output.dtype)))

    def max_pool(self, name: str, x: FeatureMap, window: Window) -> FeatureMap:
        """The largest code of each window."""
        output = replace(x, name=name, shape=(*window.output(x.shape), x.shape[2]))
        return self.add_node(MaxPool(x.name, output, window.kernel, window.stride, window.padding))

    def avg_pool(self, name: str, x: FeatureMap, window: Window, numbers: Numbers) -> FeatureMap:
        """The mean of each window; `numbers.per_channel` here means one multiplier a count of taps inside the map."""
        output = numbers.output(name, (*window.output(x.shape), x.shape[2]), self.scale())
        counts = np.arange(1, window.kernel[0] * window.kernel[1] + 1)
        how = self.requantize(output, numbers, counts * code_rms(x))
        return self.add_node(AvgPool(x.name, output, how, window.kernel, window.stride, window.padding))

    def concat(self, name: str, a: FeatureMap, b: FeatureMap) -> FeatureMap:
        """The channels of both maps."""
        output = replace(a, name=name, shape=(*a.shape[:2], a.shape[2] + b.shape[2]))
        return self.add_node(Concat((a.name, b.name), output))

    def flatten(self, name: str, x: FeatureMap) -> FeatureMap:
        """The map as a vector."""
        return self.add_node(Flatten(x.name, replace(x, name=name, shape=(1, 1, math.prod(x.shape)))))

    def pad(self, name: str, x: FeatureMap, padding: tuple[int, int, int, int]) -> FeatureMap:
        """The map in a frame of zeros."""
        top, left, bottom, right = padding
        shape = (x.shape[0] + top + bottom, x.shape[1] + left + right, x.shape[2])
        return self.add_node(Pad(x.name, replace(x, name=name, shape=shape), padding))

    def scale(self) -> float:
        """Real value of a code step; no arithmetic depends on it."""
        return float(self.rng.uniform(0.001, 0.1))

    def weights(self, shape: tuple[int, ...], numbers: Numbers) -> tuple[np.ndarray, np.ndarray]:
        """Codes and zero points (int16, one per output channel)."""
        low = -(1 << (numbers.weight_bits - 1)) if numbers.weight_signed else 0
        high = low + (1 << numbers.weight_bits) - 1
        weight = self.rng.integers(low, high, shape, endpoint=True)
        zero_point = np.zeros(shape[0], dtype=np.int16)
        if numbers.weight_zero_points:
            zero_point = self.rng.integers(low, high, shape[0], endpoint=True, dtype=np.int16)
        return weight.astype(np.int8 if numbers.weight_signed else np.uint8), zero_point

    def spread(self, x: FeatureMap, weight: np.ndarray, zero_point: np.ndarray) -> np.ndarray:
        """Typical size of an accumulator, one per output channel."""
        centred = weight.reshape(len(weight), -1).astype(np.float64) - zero_point[:, None]
        return np.maximum(np.sqrt((centred**2).sum(axis=1)) * code_rms(x), 1.0)

    def bias(self, spread: np.ndarray) -> np.ndarray:
        return np.rint(self.rng.normal(size=len(spread)) * spread / 2).astype(np.int32)

    def requantize(self, output: FeatureMap, numbers: Numbers, spread: np.ndarray) -> Requantize:
        """Brings accumulators of size `spread` to about a quarter of the output's range."""
        wanted = (output.q_max - output.q_min) / 4 / np.maximum(spread, 1.0) * self.rng.uniform(0.5, 2, len(spread))
        if not numbers.per_channel:
            wanted = wanted[:1]
        shift = np.clip(numbers.mult_bits - 1 - np.floor(np.log2(wanted)), 1, MAX_SHIFT)
        mult = np.clip(np.rint(wanted * 2.0**shift), 0, (1 << numbers.mult_bits) - 1)
        low, high = output.q_min, output.q_max
        if numbers.narrow:
            low, high = low + (high - low) // 4, high - (high - low) // 4
        return Requantize(mult.astype(np.uint16), shift.astype(np.uint8), low, high, numbers.rounding)


def code_rms(x: FeatureMap) -> float:
    """Root mean square of codes less their zero point, if every code is as likely as the next."""
    codes = np.arange(x.q_min, x.q_max + 1)
    return math.sqrt(np.mean((codes[:, None] - x.zero_point_array) ** 2.0))


def random_codes(net: QNet, batch: int = 2, seed: int = 0) -> np.ndarray:
    """Input codes (batch, height, width, channels): the first image holds only the two outermost codes."""
    rng = np.random.default_rng(seed)
    x = net.input
    codes = rng.integers(x.q_min, x.q_max, (batch, *x.shape), endpoint=True)
    codes[:1] = np.where(codes[:1] > (x.q_min + x.q_max) // 2, x.q_max, x.q_min)
    return codes.astype(x.dtype)
