"""Hypothesis draws networks: around one operator with every option it has, and small depthwise-separable ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hypothesis import strategies as st

from deepdive.qnet import FeatureMap, QNet
from network_builder import NetworkBuilder, Numbers, Window
from network_plans import Block, Separable

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
def paired_networks(draw: st.DrawFn) -> QNet:
    """Pointwise, depthwise, pointwise: even channels, and an even number of output pixels in a row of the filter."""
    height, width, channels = draw(st.integers(1, 9)), draw(st.integers(1, 13)), 2 * draw(st.integers(1, 6))
    window = draw(windows((height, width, channels)))
    if window.kernel == window.stride == (1, 1):  # no windows at all
        window = Window.same(3)
    if window.output((height, width, channels))[1] % 2:
        width += window.stride[1]
    builder = NetworkBuilder(draw(sources((height, width, 3))), draw(SEEDS))
    x = builder.conv("expand", builder.source, channels, Window(), draw(numbers()))
    x = builder.depthwise("filter", x, window, draw(numbers()))
    builder.conv("project", x, draw(st.integers(1, 4)), Window(), draw(numbers()))
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
    """Padding that counts, and padding that does not; often factors of one over a power of two, which have ties."""
    builder = NetworkBuilder(draw(sources(draw(shapes()))), draw(SEEDS))
    format_ = draw(numbers())
    if draw(st.booleans()):
        format_ = replace(format_, rounding="half_even", mult_bits=draw(st.sampled_from([1, 1, 3, 16])))
    builder.avg_pool("pool", builder.source, draw(windows(builder.source.shape)), format_)
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


@st.composite
def separable_networks(draw: st.DrawFn, excited: bool = False, prime: bool = False) -> QNet:
    """Small networks of all shapes: up to three bodies, kernels 3, 5 and 7, strides 1 and 2, 2 to 8 bits.

    With `excited` the bodies are those of MobileNetV3 and EfficientNet: squeeze-excite and tables. With `prime` only
    one lane or all of them divide the channels.
    """
    formats = Numbers(
        bits=draw(st.integers(2, 8)),
        signed=draw(st.booleans()),
        weight_bits=draw(st.integers(2, 8)),
        mult_bits=draw(st.integers(4, 16)),
        per_channel=draw(st.booleans()),
    )
    channels = st.sampled_from([2, 3, 5, 7, 11, 13]) if prime else st.integers(1, 6)
    block = st.builds(
        Block,
        channels=channels,
        expand=st.just(1) if prime else st.integers(1, 3),
        kernel=st.sampled_from([3, 5, 7]),
        stride=st.integers(1, 2),
        squeeze=st.integers(1, 4) if excited else st.just(0),
        tables=st.booleans() if excited else st.just(False),
    )
    plan = Separable(
        height=draw(st.integers(4, 17)),
        width=draw(st.integers(4, 17)),
        stem=(draw(channels), draw(channels)),
        blocks=tuple(draw(st.lists(block, min_size=int(excited), max_size=3))),
        features=draw(st.integers(1, 12)),
        classes=draw(st.integers(1, 10)),
        activations=formats,
    )
    return plan.build(draw(SEEDS))


@st.composite
def branched_networks(draw: st.DrawFn) -> QNet:
    """Blocks of two or three branches, each in a scale of its own, side by side in one: a filter, or the map itself."""
    weight_bits = draw(st.integers(2, 8))
    channels, layers = st.integers(1, 7), draw(numbers())
    middle = replace(layers, weight_bits=weight_bits)
    builder = NetworkBuilder(draw(sources((draw(st.integers(4, 9)), draw(st.integers(4, 9)), 3))), draw(SEEDS))
    x = builder.conv("stem", builder.source, draw(channels), Window.same(3), middle)
    for index in range(draw(st.integers(1, 2))):
        common = replace(middle, bits=draw(st.integers(2, 8)), signed=False, zero_point=draw(st.integers(0, 3)))
        joined: FeatureMap | None = None
        for number in range(draw(st.integers(2, 3))):
            name, branch = f"block{index}.branch{number}", x
            if kernel := draw(st.sampled_from([0, 1, 3, 5])):
                branch = builder.depthwise(f"{name}.filter", branch, Window.same(kernel), middle)
                branch = builder.conv(f"{name}.project", branch, draw(channels), Window(), middle)
            branch = builder.table(f"{name}.scale", branch, common, scale=0.25)
            joined = builder.concat(f"{name}.join", joined, branch) if joined else branch
        assert joined is not None
        x = builder.depthwise(f"block{index}.mix", joined, Window.same(3, draw(st.integers(1, 2))), middle)
    x = builder.global_avg_pool("pool", x, middle)
    builder.linear("classifier", x, draw(st.integers(1, 5)), middle)
    return builder.build()
