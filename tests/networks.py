"""Integer networks for tests of every engine: small, seeded, of every operator and option.

- `NetworkBuilder` puts a network together operator by operator; weights come from a seed, and multipliers from the
  statistics of the layer, so that codes spread over their range instead of sticking to one end.
- `operator_networks(kind)` draws networks around a single operator, with every option it has.
- `separable_networks()` draws small depthwise-separable networks: head, bodies with residual adds, tail, classifier.
- `four_block_network(seed)` is one such network, always the same for the same seed.
- `every_operator_network(seed)` is the smallest network that holds every operator.
- `random_codes(net, batch, seed)` makes input codes for any of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

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

    def table(self, name: str, x: FeatureMap, numbers: Numbers) -> FeatureMap:
        """Any function of one code."""
        output = numbers.output(name, x.shape, self.scale())
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


SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def numbers(draw: st.DrawFn) -> Numbers:
    """Every number format of the contract."""
    bits, signed = draw(st.integers(2, 8)), draw(st.booleans())
    smallest = -(1 << (bits - 1)) if signed else 0
    return Numbers(
        bits=bits,
        signed=signed,
        zero_point=draw(st.integers(smallest, smallest + (1 << bits) - 1)),
        weight_bits=draw(st.integers(2, 8)),
        weight_signed=draw(st.booleans()),
        weight_zero_points=draw(st.booleans()),
        mult_bits=draw(st.integers(1, 16)),
        per_channel=draw(st.booleans()),
        rounding=draw(st.sampled_from(["half_up", "floor"])),
        narrow=draw(st.booleans()),
    )


@st.composite
def sources(draw: st.DrawFn, shape: tuple[int, int, int], uniform: bool = False) -> FeatureMap:
    """A network input of `shape`: any bits and signs, one zero point or (unless `uniform`) one a channel."""
    bits, signed = draw(st.integers(2, 8)), draw(st.booleans())
    smallest = -(1 << (bits - 1)) if signed else 0
    codes = st.integers(smallest, smallest + (1 << bits) - 1)
    points = codes if uniform else codes | st.tuples(*[codes] * shape[2])
    return FeatureMap("image", shape, bits, signed, 0.5, draw(points))


def shapes(largest: int = 9, channels: int = 6) -> st.SearchStrategy[tuple[int, int, int]]:
    """Small (height, width, channels), square or not."""
    return st.tuples(st.integers(1, largest), st.integers(1, largest), st.integers(1, channels))


@st.composite
def windows(draw: st.DrawFn, shape: tuple[int, int, int], largest_kernel: int = 7) -> Window:
    """A window that fits a map of `shape`: kernels 1 to 7, strides 1 to 3, any padding smaller than the kernel."""
    kernel, sides = [], []
    for size in shape[:2]:
        side = draw(st.integers(1, largest_kernel))
        before, after = draw(st.integers(0, side - 1)), draw(st.integers(0, side - 1))
        kernel.append(min(side, size + before + after))
        sides.append((min(before, kernel[-1] - 1), min(after, kernel[-1] - 1)))
        # Less padding may ask for a smaller kernel again.
        kernel[-1] = min(kernel[-1], size + sum(sides[-1]))
        sides[-1] = (min(sides[-1][0], kernel[-1] - 1), min(sides[-1][1], kernel[-1] - 1))
    (top, bottom), (left, right) = sides
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    return Window((kernel[0], kernel[1]), stride, (top, left, bottom, right))


@st.composite
def conv_networks(draw: st.DrawFn) -> QNet:
    """Dense, grouped and depthwise convolutions, with and without a channel multiplier."""
    groups = draw(st.integers(1, 4))
    per_group_in, per_group_out = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    shape = (draw(st.integers(1, 9)), draw(st.integers(1, 9)), groups * per_group_in)
    builder = NetworkBuilder(draw(sources(shape)), draw(SEEDS))
    builder.conv("conv", builder.source, groups * per_group_out, draw(windows(shape)), draw(numbers()), groups)
    return builder.build()


@st.composite
def linear_networks(draw: st.DrawFn) -> QNet:
    builder = NetworkBuilder(draw(sources((1, 1, draw(st.integers(1, 40))))), draw(SEEDS))
    builder.linear("linear", builder.source, draw(st.integers(1, 12)), draw(numbers()))
    return builder.build()


@st.composite
def add_networks(draw: st.DrawFn) -> QNet:
    """A map plus itself, or plus one of another type."""
    builder = NetworkBuilder(draw(sources(draw(shapes()))), draw(SEEDS))
    x = builder.source
    other = builder.table("other", x, draw(numbers())) if draw(st.booleans()) else x
    a, b = (x, other) if draw(st.booleans()) else (other, x)
    builder.add("add", a, b, draw(numbers()))
    return builder.build()


@st.composite
def global_avg_pool_networks(draw: st.DrawFn) -> QNet:
    builder = NetworkBuilder(draw(sources(draw(shapes()))), draw(SEEDS))
    builder.global_avg_pool("pool", builder.source, draw(numbers()))
    return builder.build()


@st.composite
def channel_scale_networks(draw: st.DrawFn) -> QNet:
    """Squeeze-excite with nothing between squeeze and excite."""
    builder = NetworkBuilder(draw(sources(draw(shapes()))), draw(SEEDS))
    factors = builder.global_avg_pool("factors", builder.source, draw(numbers()))
    builder.channel_scale("scaled", builder.source, factors, draw(numbers()))
    return builder.build()


@st.composite
def table_networks(draw: st.DrawFn) -> QNet:
    builder = NetworkBuilder(draw(sources(draw(shapes()))), draw(SEEDS))
    builder.table("table", builder.source, draw(numbers()))
    return builder.build()


@st.composite
def max_pool_networks(draw: st.DrawFn) -> QNet:
    builder = NetworkBuilder(draw(sources(draw(shapes()), uniform=True)), draw(SEEDS))
    builder.max_pool("pool", builder.source, draw(windows(builder.source.shape)))
    return builder.build()


@st.composite
def avg_pool_networks(draw: st.DrawFn) -> QNet:
    """Padding that counts, and padding that does not."""
    builder = NetworkBuilder(draw(sources(draw(shapes()))), draw(SEEDS))
    builder.avg_pool("pool", builder.source, draw(windows(builder.source.shape)), draw(numbers()))
    return builder.build()


@st.composite
def concat_networks(draw: st.DrawFn) -> QNet:
    """A map with itself, or with one of other channels on either side."""
    builder = NetworkBuilder(draw(sources(draw(shapes()), uniform=True)), draw(SEEDS))
    x = builder.source
    other = x
    if draw(st.booleans()):
        formats = Numbers(bits=x.bits, signed=x.signed, zero_point=x.uniform_zero_point)
        layer = builder.conv("other", x, draw(st.integers(1, 5)), Window(), formats)
        # The builder draws a scale of its own; here both sides must agree.
        builder.nodes[-1] = replace(builder.nodes[-1], output=replace(layer, scale=x.scale))
        other = builder.nodes[-1].output
    a, b = (x, other) if draw(st.booleans()) else (other, x)
    builder.concat("both", a, b)
    return builder.build()


@st.composite
def flatten_networks(draw: st.DrawFn) -> QNet:
    """A flattened map, and often a fully connected layer on it."""
    builder = NetworkBuilder(draw(sources(draw(shapes()), uniform=True)), draw(SEEDS))
    x = builder.flatten("vector", builder.source)
    if draw(st.booleans()):
        builder.linear("linear", x, draw(st.integers(1, 5)), draw(numbers()))
    return builder.build()


@st.composite
def pad_networks(draw: st.DrawFn) -> QNet:
    builder = NetworkBuilder(draw(sources(draw(shapes()), uniform=True)), draw(SEEDS))
    builder.pad("padded", builder.source, draw(st.tuples(*[st.integers(0, 5)] * 4)))
    return builder.build()


OPERATOR_NETWORKS: dict[str, Callable[[], st.SearchStrategy[QNet]]] = {
    "Conv": conv_networks,
    "Linear": linear_networks,
    "Add": add_networks,
    "GlobalAvgPool": global_avg_pool_networks,
    "ChannelScale": channel_scale_networks,
    "Table": table_networks,
    "MaxPool": max_pool_networks,
    "AvgPool": avg_pool_networks,
    "Concat": concat_networks,
    "Flatten": flatten_networks,
    "Pad": pad_networks,
}


def operator_networks(kind: str) -> st.SearchStrategy[QNet]:
    """Networks around one operator; `kind` is the name of its class."""
    return OPERATOR_NETWORKS[kind]()


@dataclass(frozen=True)
class Block:
    """An inverted residual block; the residual add is there when stride is 1 and the channel counts agree."""

    channels: int
    expand: int = 4
    kernel: int = 3
    stride: int = 1


@dataclass(frozen=True)
class Separable:
    """A depthwise-separable network: head, bodies, tail, classifier.

    Parameters
    ----------
    height, width
        Of the input; three channels with a zero point each.
    stem
        Channels of the first convolution (3x3, stride 2) and of the head.
    features, classes
        Channels of the tail and of the classifier.
    activations
        Formats after a ReLU; a projection and a residual add have the same bits around a zero point in the middle.
    """

    height: int = 16
    width: int = 16
    stem: tuple[int, int] = (8, 8)
    blocks: tuple[Block, ...] = (Block(8), Block(16, kernel=5, stride=2))
    features: int = 32
    classes: int = 10
    activations: Numbers = Numbers()

    def build(self, seed: int, **more: Any) -> QNet:
        """The network with weights from `seed`; `more` goes to `NetworkBuilder.build`."""
        relu = self.activations
        middle = replace(relu, zero_point=0 if relu.signed else 1 << (relu.bits - 1))
        builder = NetworkBuilder(
            FeatureMap("image", (self.height, self.width, 3), 8, False, 1 / 64, (124, 116, 104)), seed
        )
        x = builder.conv("stem", builder.source, self.stem[0], Window.same(3, 2), relu)
        x = builder.depthwise("head.depthwise", x, Window.same(3), relu)
        x = builder.conv("head.project", x, self.stem[1], Window(), middle)
        for index, block in enumerate(self.blocks, start=1):
            name, skip = f"body{index}", x
            if block.expand > 1:
                x = builder.conv(f"{name}.expand", x, block.expand * x.shape[2], Window(), relu)
            x = builder.depthwise(f"{name}.depthwise", x, Window.same(block.kernel, block.stride), relu)
            x = builder.conv(f"{name}.project", x, block.channels, Window(), middle)
            if x.shape == skip.shape:
                x = builder.add(f"{name}.add", skip, x, middle)
        x = builder.conv("tail.conv", x, self.features, Window(), relu)
        x = builder.global_avg_pool("tail.pool", x, relu)
        builder.linear("classifier", x, self.classes, middle)
        return builder.build(**more)


@st.composite
def separable_networks(draw: st.DrawFn) -> QNet:
    """Small networks of all shapes: up to three bodies, kernels 3, 5 and 7, strides 1 and 2, 2 to 8 bits."""
    formats = Numbers(
        bits=draw(st.integers(2, 8)),
        signed=draw(st.booleans()),
        weight_bits=draw(st.integers(2, 8)),
        mult_bits=draw(st.integers(4, 16)),
        per_channel=draw(st.booleans()),
    )
    channels = st.integers(1, 6)
    block = st.builds(
        Block,
        channels=channels,
        expand=st.integers(1, 3),
        kernel=st.sampled_from([3, 5, 7]),
        stride=st.integers(1, 2),
    )
    plan = Separable(
        height=draw(st.integers(4, 17)),
        width=draw(st.integers(4, 17)),
        stem=(draw(channels), draw(channels)),
        blocks=tuple(draw(st.lists(block, max_size=3))),
        features=draw(st.integers(1, 12)),
        classes=draw(st.integers(1, 10)),
        activations=formats,
    )
    return plan.build(draw(SEEDS))


def four_block_network(seed: int = 0, *, weight_bits: int = 8, bits: int = 8) -> QNet:
    """Head, body with a residual add, body with stride 2 and a 5x5 kernel, tail; then a classifier of ten classes.

    Input is 16x16 RGB; the network knows its preprocessing and labels.
    """
    plan = Separable(activations=Numbers(bits=bits, weight_bits=weight_bits))
    labels = tuple(f"class {index}" for index in range(plan.classes))
    return plan.build(seed, name="four blocks", preprocess=Preprocess((16, 16), resize_short=18), labels=labels)


def every_operator_network(seed: int = 0) -> QNet:
    """One of each operator on a 4x4 RGB input, in 4-bit codes with 3-bit weights; two labelled outputs."""
    relu = Numbers(bits=4, weight_bits=3)
    middle = replace(relu, zero_point=8, rounding="floor")
    builder = NetworkBuilder(FeatureMap("image", (4, 4, 3), 8, False, 1 / 64, (124, 116, 104)), seed)
    x = builder.conv("stem", builder.source, 2, Window.same(3), relu)
    x = builder.depthwise("depthwise", x, Window.same(3), middle)
    x = builder.table("swish", x, relu)
    squeezed = builder.global_avg_pool("squeeze", x, relu)
    x = builder.channel_scale("excite", x, squeezed, relu)
    mean = builder.avg_pool("mean", x, Window.same(3), relu)
    x = builder.add("add", x, mean, middle)
    largest = builder.max_pool("largest", x, Window.same(3))
    x = builder.concat("both", x, largest)
    x = builder.pad("padded", x, (1, 0, 0, 2))
    x = builder.flatten("vector", x)
    builder.linear("classifier", x, 2, middle)
    return builder.build("every operator", labels=("a", "b"))
