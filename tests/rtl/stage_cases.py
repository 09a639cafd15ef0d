"""Small stages of every kind, with random constants, corner codes and what the reference makes of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from deepdive.hardware.rtl.add import ResidualAddComponent, add_limits
from deepdive.hardware.rtl.build import stage_component
from deepdive.hardware.rtl.channel_scale import ChannelScaleComponent
from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.concat import ConcatComponent
from deepdive.hardware.rtl.flatten import FlattenComponent
from deepdive.hardware.rtl.limits import Limits
from deepdive.hardware.rtl.max_pool import MaxPoolComponent
from deepdive.hardware.stages import (
    ChannelScale,
    Concat,
    Dense,
    Depthwise,
    Fork,
    GlobalAveragePool,
    PixelPair,
    Repack,
    Requantizer,
    ResidualAdd,
    Stage,
    Table,
    Window,
)
from deepdive.hardware.stages import Pad as PadStage
from deepdive.hardware.stages.flatten import Flatten
from deepdive.hardware.stages.window_pool import WindowPool
from deepdive.hardware.stream import Stream
from deepdive.qnet import Add, AvgPool, Conv, FeatureMap, GlobalAvgPool, Node, Pad, QNet, Requantize, ops
from deepdive.qnet.reference import compute

FRAMES = 4


@dataclass(frozen=True)
class StageCase:
    """A component, beats for its inputs and the beats it must give: integers (beats, values) a port."""

    name: str
    component: StageComponent
    inputs: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]

    @property
    def stage(self) -> Stage:
        return self.component.contract


def random_codes(rng: np.random.Generator, x: FeatureMap, frames: int = FRAMES) -> np.ndarray:
    """Codes (frames, H, W, C); the first frame holds corner codes only, the second one value everywhere."""
    codes = rng.integers(x.q_min, x.q_max, size=(frames, *x.shape), endpoint=True)
    codes[0] = rng.choice([x.q_min, x.q_max], size=x.shape)
    codes[1] = x.q_max
    return codes.astype(x.dtype)


def random_requantize(
    rng: np.random.Generator, channels: int, acc: tuple[int, int], output: FeatureMap, *, uniform: bool, rounding: str
) -> Requantize:
    """Factors that spread the accumulators over the output codes, some of them far beyond."""
    count = 1 if uniform else channels
    mult = rng.integers(1, 1 << 16, size=count).astype(np.uint16)
    spread = max(1, max(abs(acc[0]), abs(acc[1])) >> max(output.bits - 2, 1))
    shift = np.clip(mult.astype(np.int64) * spread, 1, None)
    bits = np.array([int(s).bit_length() for s in shift]) + rng.integers(-3, 3, size=count)
    low = int(rng.choice([output.q_min, output.uniform_zero_point]))
    return Requantize(mult, np.clip(bits, 1, 48).astype(np.uint8), low, output.q_max, rounding)  # type: ignore[arg-type]


def stream(name: str, x: FeatureMap, lanes: int, taps: int = 1) -> Stream:
    """The stream that carries `x`."""
    height, width, channels = x.shape
    return Stream(
        name=name, height=height, width=width, channels=channels, lanes=lanes, bits=x.bits, signed=x.signed, taps=taps
    )


def windows(codes: np.ndarray, x: FeatureMap, conv: Conv) -> np.ndarray:
    """(frames, H, W, taps, C): the filter windows, padding replaced by the zero point."""
    top, left, bottom, right = conv.padding
    frames, height, width, channels = codes.shape
    padded = np.empty((frames, height + top + bottom, width + left + right, channels), dtype=codes.dtype)
    padded[:] = x.zero_point_array
    padded[:, top : top + height, left : left + width] = codes
    out_h, out_w, _ = conv.output.shape
    taps = [
        padded[:, ky : ky + (out_h - 1) * conv.stride[0] + 1 : conv.stride[0]][
            :, :, kx : kx + (out_w - 1) * conv.stride[1] + 1 : conv.stride[1]
        ]
        for ky in range(conv.kernel[0])
        for kx in range(conv.kernel[1])
    ]
    return np.stack(taps, axis=3)


def beats(codes: np.ndarray, lanes: int) -> np.ndarray:
    """(frames, H, W[, taps], C) to (beats, values): group of lanes outside, tap, lane."""
    if codes.ndim == 4:
        codes = codes[:, :, :, None]
    frames, height, width, taps, channels = codes.shape
    split = codes.reshape(frames, height, width, taps, channels // lanes, lanes).transpose(0, 1, 2, 4, 3, 5)
    return split.reshape(-1, taps * lanes)


def acc_bits(bounds: tuple[int, int]) -> int:
    """Bits of two's complement that hold both."""
    return 1 + max((b if b >= 0 else ~b).bit_length() for b in bounds) or 2


@dataclass(frozen=True)
class ConvSpec:
    """What a random convolution looks like."""

    name: str
    seed: int
    size: tuple[int, int]
    channels: tuple[int, int]
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1
    bits: tuple[int, int, int] = (8, 8, 8)  # input, weights, output
    signed: tuple[bool, bool] = (False, False)
    zero_points: int = 1
    weight_zero_point: bool = False
    uniform: bool = False
    rounding: str = "half_up"


def random_conv(spec: ConvSpec) -> tuple[Conv, FeatureMap, np.random.Generator]:
    """The operator, its input's type and the generator that drew it."""
    rng = np.random.default_rng(spec.seed)
    in_channels, out_channels = spec.channels
    x = FeatureMap("x", (*spec.size, in_channels), spec.bits[0], spec.signed[0])
    points = rng.integers(x.q_min, x.q_max, size=spec.zero_points, endpoint=True)
    x = FeatureMap(
        "x", x.shape, x.bits, x.signed, zero_point=tuple(map(int, points)) if len(points) > 1 else int(points[0])
    )
    top, left, bottom, right = spec.padding
    height = (spec.size[0] + top + bottom - spec.kernel[0]) // spec.stride[0] + 1
    width = (spec.size[1] + left + right - spec.kernel[1]) // spec.stride[1] + 1
    y = FeatureMap("y", (height, width, out_channels), spec.bits[2], spec.signed[1])
    y = FeatureMap("y", y.shape, y.bits, y.signed, zero_point=int(rng.integers(y.q_min, y.q_max, endpoint=True)))
    low, high = (
        (0, (1 << spec.bits[1]) - 1)
        if spec.weight_zero_point
        else (-(1 << (spec.bits[1] - 1)), (1 << (spec.bits[1] - 1)) - 1)
    )
    shape = (out_channels, *spec.kernel, in_channels // spec.groups)
    weight = rng.integers(low, high, size=shape, endpoint=True).astype(np.uint8 if spec.weight_zero_point else np.int8)
    weight[0] = low
    weight[-1] = high
    zero = (
        rng.integers(low, high, size=out_channels, endpoint=True) if spec.weight_zero_point else np.zeros(out_channels)
    )
    bias = rng.integers(-2000, 2000, size=out_channels).astype(np.int32)
    draft = Requantize(np.ones(1, np.uint16), np.ones(1, np.uint8), y.q_min, y.q_max)
    conv = Conv(
        "x", y, weight, spec.bits[1], bias, draft, zero.astype(np.int16), spec.stride, spec.padding, spec.groups
    )
    how = random_requantize(rng, out_channels, conv.acc_range(x), y, uniform=spec.uniform, rounding=spec.rounding)
    conv = Conv("x", y, weight, spec.bits[1], bias, how, zero.astype(np.int16), spec.stride, spec.padding, spec.groups)
    return conv, x, rng


def reference(node: Node, types: tuple[FeatureMap, ...], codes: tuple[np.ndarray, ...]) -> np.ndarray:
    """What the contract makes of the codes."""
    return compute(node, types, codes).astype(np.int64)


def requantizer(node: Conv | GlobalAvgPool | AvgPool, x: FeatureMap) -> Requantizer:
    how = node.requantize
    return Requantizer(
        acc_bits=acc_bits(node.acc_range(x)), mult_bits=16, per_channel=len(how.mult) > 1, rounding=how.rounding
    )


def window_case(spec: ConvSpec, lanes: int, columns: int = 1) -> StageCase:
    conv, x, rng = random_conv(spec)
    seen = FeatureMap("x", (x.shape[0], x.shape[1] // columns, x.shape[2] * columns), x.bits, x.signed)
    y = FeatureMap("y", (*conv.output.shape[:2], x.shape[2]), x.bits, x.signed)
    taps = spec.kernel[0] * spec.kernel[1]
    stage = Window(
        name=spec.name,
        input=stream("a", seen, columns * lanes),
        output=stream("b", y, lanes, taps),
        kernel=spec.kernel,
        stride=spec.stride,
        padding=spec.padding,
        zero_point=x.zero_points,
        columns=columns,  # type: ignore[arg-type]
    )
    codes = random_codes(rng, x)
    wanted = beats(windows(codes, x, conv).astype(np.int64), lanes)
    fed = beats(codes.reshape(len(codes), *seen.shape), columns * lanes)
    return StageCase(spec.name, stage_component(stage, QNet("n", x, (conv,))), (fed,), (wanted,))


def dense_case(
    spec: ConvSpec,
    in_lanes: int,
    out_parallel: int,
    out_lanes: int,
    weights: str = "on_chip",
    *,
    drains: bool = False,
    field: int = 0,
    fabric: bool = False,
    cascade: bool = False,
) -> StageCase:
    conv, x, rng = random_conv(spec)
    taps = spec.kernel[0] * spec.kernel[1]
    seen = FeatureMap("w", (*conv.output.shape[:2], x.shape[2]), x.bits, x.signed)
    stage = Dense(
        kind="conv" if taps > 1 else "pointwise",
        name=spec.name,
        node="y",
        input=stream("a", seen, in_lanes, taps),
        output=stream("b", conv.output, out_lanes),
        out_parallel=out_parallel,
        weight_bits=spec.bits[1],
        requantizer=requantizer(conv, x),
        conv_groups=spec.groups,
        weights=weights,  # type: ignore[arg-type]
        drains=drains,
        pair_field=field,
        fabric=fabric,
        cascade=cascade,
    )
    codes = random_codes(rng, x)
    wanted = beats(reference(conv, (x,), (codes,)), out_lanes)
    fed = beats(windows(codes, x, conv), in_lanes)
    return StageCase(spec.name, stage_component(stage, QNet("n", x, (conv,))), (fed,), (wanted,))


def depthwise_case(spec: ConvSpec, lanes: int, *, fabric: bool = False, cascade: bool = False) -> StageCase:
    conv, x, rng = random_conv(spec)
    taps = spec.kernel[0] * spec.kernel[1]
    seen = FeatureMap("w", conv.output.shape, x.bits, x.signed)
    stage = Depthwise(
        name=spec.name,
        node="y",
        input=stream("a", seen, lanes, taps),
        output=stream("b", conv.output, lanes),
        weight_bits=spec.bits[1],
        requantizer=requantizer(conv, x),
        fabric=fabric,
        cascade=cascade,
    )
    codes = random_codes(rng, x)
    wanted = beats(reference(conv, (x,), (codes,)), lanes)
    net = QNet("n", x, (conv,))
    return StageCase(spec.name, stage_component(stage, net), (beats(windows(codes, x, conv), lanes),), (wanted,))


def depthwise_pairs_case(spec: ConvSpec, lanes: int, *, field: int = 18) -> StageCase:
    """Windows of two pixels, as a `Window` with the pair's kernel and stride gives them."""
    conv, x, rng = random_conv(spec)
    pair = PixelPair(kernel=spec.kernel, step=spec.stride[1])
    height, width, _ = conv.output.shape
    seen = FeatureMap("w", (height, width // 2, x.shape[2]), x.bits, x.signed)
    stage = Depthwise(
        name=spec.name,
        node="y",
        input=stream("a", seen, lanes, pair.window_taps),
        output=stream("b", conv.output, lanes),
        weight_bits=spec.bits[1],
        requantizer=requantizer(conv, x),
        pixel_pair=pair,
        pair_field=field,
    )
    codes = random_codes(rng, x)
    alone = windows(codes, x, conv).reshape(FRAMES, height, width // 2, 2, *spec.kernel, x.shape[2])
    both = np.empty((FRAMES, height, width // 2, *pair.window, x.shape[2]), dtype=codes.dtype)
    both[:, :, :, :, : spec.kernel[1]] = alone[:, :, :, 0]
    both[:, :, :, :, pair.step :][:, :, :, :, : spec.kernel[1]] = alone[:, :, :, 1]
    if pair.step > spec.kernel[1]:
        both[:, :, :, :, spec.kernel[1] : pair.step] = 0
    fed = beats(both.reshape(FRAMES, height, width // 2, pair.window_taps, x.shape[2]), lanes)
    wanted = beats(reference(conv, (x,), (codes,)), lanes)
    return StageCase(spec.name, stage_component(stage, QNet("n", x, (conv,))), (fed,), (wanted,))


def add_case(name: str, seed: int, shape: tuple[int, int, int], lanes: int, rounding: str = "half_up") -> StageCase:
    """The first input is 8 bits unsigned, the second 4 bits signed, the output 8 bits signed."""
    rng = np.random.default_rng(seed)
    a, b = FeatureMap("a", shape, 8, zero_point=131), FeatureMap("b", shape, 4, signed=True, zero_point=-3)
    y = FeatureMap("y", shape, 8, signed=True, zero_point=-7)
    mult = (int(rng.integers(1, 1 << 14)), int(rng.integers(1, 1 << 16)))
    node = Add(("a", "b"), y, mult, int(rng.integers(12, 16)), -120, y.q_max, rounding)  # type: ignore[arg-type]
    codes = random_codes(rng, a), random_codes(rng, b)
    stage = ResidualAdd(
        name=name,
        node="y",
        input_a=stream("a", a, lanes),
        input_b=stream("b", b, lanes),
        output=stream("c", y, lanes),
    )
    wanted = beats(reference(node, (a, b), codes), lanes)
    component = ResidualAddComponent(stage, Limits([add_limits(node, (a, b))]))
    return StageCase(name, component, tuple(beats(c, lanes) for c in codes), (wanted,))


def pool_case(name: str, seed: int, x: FeatureMap, lanes: int, rounding: str = "half_up") -> StageCase:
    rng = np.random.default_rng(seed)
    y = FeatureMap("y", (1, 1, x.shape[2]), 8, zero_point=9)
    draft = Requantize(np.ones(1, np.uint16), np.ones(1, np.uint8), 0, 255)
    bounds = GlobalAvgPool("x", y, draft).acc_range(x)
    how = random_requantize(rng, x.shape[2], bounds, y, uniform=True, rounding=rounding)
    if rounding == "half_even":  # a plain mean of 2**n pixels, which lies between two codes often
        shift = (x.shape[0] * x.shape[1]).bit_length() - 1
        how = Requantize(np.ones(1, np.uint16), np.array([shift], np.uint8), 0, 255, "half_even")
    node = GlobalAvgPool("x", y, how)
    stage = GlobalAveragePool(
        name=name,
        node="y",
        input=stream("a", x, lanes),
        output=stream("b", y, lanes),
        requantizer=requantizer(node, x).model_copy(update={"acc_bits": acc_bits(bounds) + 2}),
    )
    codes = random_codes(rng, x)
    wanted = beats(reference(node, (x,), (codes,)), lanes)
    return StageCase(name, stage_component(stage, QNet("n", x, (node,))), (beats(codes, lanes),), (wanted,))


def table_case(name: str, seed: int, x: FeatureMap, lanes: int, output: FeatureMap) -> StageCase:
    """Any function of one code."""
    rng = np.random.default_rng(seed)
    values = rng.integers(output.q_min, output.q_max, size=1 << x.bits, endpoint=True).astype(output.dtype)
    node = ops.Table("x", output, values)
    stage = Table(name=name, node="y", input=stream("a", x, lanes), output=stream("b", output, lanes))
    codes = random_codes(rng, x)
    wanted = beats(reference(node, (x,), (codes,)), lanes)
    return StageCase(name, stage_component(stage, QNet("n", x, (node,))), (beats(codes, lanes),), (wanted,))


def channel_scale_case(name: str, seed: int, shape: tuple[int, int, int], lanes: int) -> StageCase:
    """An 8-bit map times 5-bit signed factors."""
    rng = np.random.default_rng(seed)
    x, factors = FeatureMap("x", shape, 8, zero_point=40), FeatureMap("f", (1, 1, shape[2]), 5, True, zero_point=-4)
    y = FeatureMap("y", shape, 8, zero_point=100)
    how = random_requantize(rng, shape[2], (-(1 << 12), 1 << 12), y, uniform=True, rounding="half_up")
    node = ops.ChannelScale(("x", "f"), y, how)
    stage = ChannelScale(
        name=name,
        node="y",
        input=stream("a", x, lanes),
        factors=stream("b", factors, lanes),
        output=stream("c", y, lanes),
        requantizer=Requantizer(acc_bits=14, mult_bits=16, per_channel=False),
    )
    codes = random_codes(rng, x), random_codes(rng, factors)
    wanted = beats(reference(node, (x, factors), codes), lanes)
    component = ChannelScaleComponent(stage, node, (x, factors))
    return StageCase(name, component, tuple(beats(c, lanes) for c in codes), (wanted,))


def concat_case(name: str, seed: int, shape: tuple[int, int, int], more: int, lanes: int) -> StageCase:
    """A map and one of `more` channels."""
    rng = np.random.default_rng(seed)
    a, b = FeatureMap("a", shape, 5, True), FeatureMap("b", (*shape[:2], more), 5, True)
    y = FeatureMap("y", (*shape[:2], shape[2] + more), 5, True)
    stage = Concat(
        name=name, node="y", input_a=stream("a", a, lanes), input_b=stream("b", b, lanes), output=stream("c", y, lanes)
    )
    codes = random_codes(rng, a), random_codes(rng, b)
    wanted = beats(reference(ops.Concat(("a", "b"), y), (a, b), codes), lanes)
    return StageCase(name, ConcatComponent(stage), tuple(beats(c, lanes) for c in codes), (wanted,))


def max_pool_case(spec: ConvSpec, lanes: int) -> StageCase:
    """Windows, padded with the smallest code as for any maximum, and their largest codes."""
    conv, x, rng = random_conv(replace(spec, zero_points=1))
    x = replace(x, zero_point=x.q_min)
    seen = FeatureMap("w", (*conv.output.shape[:2], x.shape[2]), x.bits, x.signed)
    taps = spec.kernel[0] * spec.kernel[1]
    stage = WindowPool(
        kind="max_pool", name=spec.name, node="y", input=stream("a", seen, lanes, taps), output=stream("b", seen, lanes)
    )
    fed = windows(random_codes(rng, x), x, conv)
    wanted = beats(fed.max(axis=3).astype(np.int64), lanes)
    return StageCase(spec.name, MaxPoolComponent(stage), (beats(fed, lanes),), (wanted,))


def avg_pool_case(spec: ConvSpec, lanes: int, *, counted: bool) -> StageCase:
    """Windows and their means; `counted` divides by the taps inside the map. `half_even` divides by 2**n, for ties."""
    conv, x, rng = random_conv(spec)
    taps = spec.kernel[0] * spec.kernel[1]
    y = FeatureMap("y", (*conv.output.shape[:2], x.shape[2]), 8, spec.signed[1], zero_point=11)
    counts = np.arange(1, taps + 1) if counted else np.array([taps])
    factors = rng.uniform(0.7, 1.5) * 2.0 ** (y.bits - x.bits) / counts
    shift = 15 - np.floor(np.log2(factors)).astype(np.int64)
    mult = np.round(factors * 2.0**shift).astype(np.uint16)
    how = Requantize(mult, shift.astype(np.uint8), y.q_min, y.q_max, spec.rounding)  # type: ignore[arg-type]
    if spec.rounding == "half_even":
        shift = rng.integers(1, 4, size=len(how.mult)).astype(np.uint8)
        how = Requantize(np.ones(len(shift), np.uint16), shift, y.q_min, y.q_max, "half_even")
    node = AvgPool("x", y, how, spec.kernel, spec.stride, spec.padding)
    node.check(x)
    seen = FeatureMap("w", y.shape, x.bits, x.signed)
    stage = WindowPool(
        kind="avg_pool",
        name=spec.name,
        node="y",
        input=stream("a", seen, lanes, taps),
        output=stream("b", y, lanes),
        requantizer=requantizer(node, x),
    )
    codes = random_codes(rng, x)
    wanted = beats(reference(node, (x,), (codes,)), lanes)
    fed = beats(windows(codes, x, conv), lanes)
    return StageCase(spec.name, stage_component(stage, QNet("n", x, (node,))), (fed,), (wanted,))


def pad_case(name: str, seed: int, x: FeatureMap, padding: tuple[int, int, int, int], lanes: int) -> StageCase:
    """A map and the frame around it."""
    rng = np.random.default_rng(seed)
    top, left, bottom, right = padding
    height, width, channels = x.shape
    y = replace(x, name="y", shape=(height + top + bottom, width + left + right, channels))
    node = Pad("x", y, padding)
    node.check(x)
    stage = PadStage(
        name=name,
        node="y",
        input=stream("a", x, lanes),
        output=stream("b", y, lanes),
        padding=padding,
        zero_point=x.uniform_zero_point,
    )
    codes = random_codes(rng, x)
    wanted = beats(reference(node, (x,), (codes,)), lanes)
    return StageCase(name, stage_component(stage, QNet("n", x, (node,))), (beats(codes, lanes),), (wanted,))


def flatten_case(name: str, seed: int, x: FeatureMap, lanes: int) -> StageCase:
    rng = np.random.default_rng(seed)
    codes = random_codes(rng, x)
    flat = FeatureMap("y", (1, 1, int(np.prod(x.shape))), x.bits, x.signed)
    stage = Flatten(name=name, node="y", input=stream("a", x, lanes), output=stream("b", flat, lanes))
    wanted = beats(codes.reshape(len(codes), *flat.shape), lanes)
    return StageCase(name, FlattenComponent(stage), (beats(codes, lanes),), (wanted,))


def plain_case(name: str, seed: int, shape: tuple[int, int, int], lanes: tuple[int, int]) -> StageCase:
    """A repack, or a fork when both sides have as many lanes."""
    rng = np.random.default_rng(seed)
    x = FeatureMap("x", shape, 5)
    codes = random_codes(rng, x)
    a, b, c = stream("a", x, lanes[0]), stream("b", x, lanes[1]), stream("c", x, lanes[1])
    conv = random_conv(ConvSpec("unused", 1, shape[:2], (shape[2], 1), bits=(5, 8, 8)))[0]
    net = QNet("n", x, (conv,))
    wanted = beats(codes, lanes[1])
    if lanes[0] == lanes[1]:
        fork = Fork(name=name, input=a, output_a=b, output_b=c)
        return StageCase(name, stage_component(fork, net), (beats(codes, lanes[0]),), (wanted, wanted))
    repack = Repack(name=name, input=a, output=b)
    return StageCase(name, stage_component(repack, net), (beats(codes, lanes[0]),), (wanted,))
