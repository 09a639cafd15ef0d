"""The integer contract, executed: plain NumPy, one short function an operator, nothing clever.

All engines (ONNX Runtime, C simulation, RTL) must give these codes, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import singledispatch

import numpy as np

from deepdive.errors import DeepDiveError
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.graph import QNet
from deepdive.qnet.ops import (
    Add,
    AvgPool,
    ChannelScale,
    Concat,
    Conv,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Node,
    Pad,
    Requantize,
    Rounding,
    Table,
)

Progress = Callable[[str], None]


def run(net: QNet, images: np.ndarray, progress: Progress | None = None) -> dict[str, np.ndarray]:
    """All feature maps of a batch, by name, NHWC codes; `progress` is told each node's name once it is done."""
    check_images(net.input, images)
    maps = {net.input.name: images}
    for node in net.nodes:
        codes = compute(node, net.inputs_of(node), tuple(maps[name] for name in node.inputs))
        maps[node.name] = codes.astype(node.output.dtype)
        if progress:
            progress(node.name)
    return maps


def check_images(wanted: FeatureMap, images: np.ndarray) -> None:
    """Refuse a batch whose dtype, shape or codes are not the network's."""
    if images.dtype != wanted.dtype or images.shape[1:] != wanted.shape or images.ndim != 4:
        raise DeepDiveError(
            f"Input codes are {images.dtype}{images.shape}; the network wants "
            f"{wanted.dtype}(batch, {', '.join(map(str, wanted.shape))})."
        )
    if images.size and (images.min() < wanted.q_min or images.max() > wanted.q_max):
        raise DeepDiveError(f"Input codes leave {wanted.q_min}..{wanted.q_max}, the {wanted.bits} bits of the input.")


def centred(codes: np.ndarray, feature_map: FeatureMap) -> np.ndarray:
    """``q - z``, int32."""
    return codes.astype(np.int32) - feature_map.zero_point_array


def shift_right(values: np.ndarray, shift: np.ndarray | int, rounding: Rounding) -> np.ndarray:
    """``(values + half) >> shift``; int64, arithmetic shift (floor). Half to even takes 1 from odd results of a tie."""
    shift = np.asarray(shift, dtype=np.int64)
    half = np.int64(0) if rounding == "floor" else np.left_shift(np.int64(1), shift - 1)
    result = (values + half) >> shift
    if rounding == "half_even":
        tie = (result << shift) == values + half
        result -= tie & (result & 1)
    return result


def requantize(acc: np.ndarray, how: Requantize, output: FeatureMap) -> np.ndarray:
    """int32 accumulators (..., channels) to codes."""
    scaled = shift_right(acc.astype(np.int64) * how.mult.astype(np.int64), how.shift, how.rounding)
    return np.clip(scaled + output.uniform_zero_point, how.q_min, how.q_max)


@singledispatch
def compute(node: Node, types: tuple[FeatureMap, ...], codes: tuple[np.ndarray, ...]) -> np.ndarray:
    """Codes that `node` writes, NHWC, from the codes it reads."""
    raise NotImplementedError(type(node).__name__)


@compute.register
def _(node: Conv, types: tuple[FeatureMap, ...], codes: tuple[np.ndarray, ...]) -> np.ndarray:
    # Zero after centring is the zero point before it.
    x = pad(centred(codes[0], types[0]), node.padding, 0)
    acc = np.zeros((len(x), *node.output.shape), dtype=np.int64) + node.bias
    for (ky, kx), part in taps(x, node.kernel, node.stride):
        acc += tap(part, node.centred_weight[:, ky, kx], node.groups)
    return requantize(acc, node.requantize, node.output)


def pad(x: np.ndarray, padding: tuple[int, int, int, int], value: int) -> np.ndarray:
    """(N, H, W, C) within a frame (top, left, bottom, right) of `value`."""
    top, left, bottom, right = padding
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=value)


def taps(
    x: np.ndarray, kernel: tuple[int, int], stride: tuple[int, int]
) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """For each position (ky, kx) of a window, what it sees of padded `x` at every step: (N, H_out, W_out, C)."""
    height, width = ((x.shape[axis + 1] - kernel[axis]) // stride[axis] for axis in (0, 1))
    for ky in range(kernel[0]):
        for kx in range(kernel[1]):
            rows = slice(ky, ky + height * stride[0] + 1, stride[0])
            columns = slice(kx, kx + width * stride[1] + 1, stride[1])
            yield (ky, kx), x[:, rows, columns]


def tap(x: np.ndarray, weight: np.ndarray, groups: int) -> np.ndarray:
    """One position of the filter: (N, H, W, in) and (out, in / groups) to (N, H, W, out), int64."""
    out_channels, per_group = weight.shape
    if per_group == 1 and groups == out_channels:
        return x * weight[:, 0].astype(np.int32)  # 9 bits times 9 bits
    outputs = []
    for inputs, kernel in zip(np.split(x, groups, axis=-1), np.split(weight, groups), strict=True):
        # float64 holds every sum exactly (|acc| < 2**31 < 2**53) and multiplies matrices far faster than int64 does.
        product = inputs.reshape(-1, per_group).astype(np.float64) @ kernel.T.astype(np.float64)
        outputs.append(product.astype(np.int64).reshape(*x.shape[:3], out_channels // groups))
    return np.concatenate(outputs, axis=-1)


@compute.register
def _(node: Linear, types: tuple[FeatureMap, ...], codes: tuple[np.ndarray, ...]) -> np.ndarray:
    return compute(node.as_conv(), types, codes)


@compute.register
def _(node: Add, types: tuple[FeatureMap, ...], codes: tuple[np.ndarray, ...]) -> np.ndarray:
    a, b = (centred(q, t).astype(np.int64) * m for q, t, m in zip(codes, types, node.mult, strict=True))
    return np.clip(
        shift_right(a + b, node.shift, node.rounding) + node.output.uniform_zero_point, node.q_min, node.q_max
    )


@compute.register
def _(node: GlobalAvgPool, types: tuple[FeatureMap, ...], codes: tuple[np.ndarray, ...]) -> np.ndarray:
    acc = centred(codes[0], types[0]).sum(axis=(1, 2), keepdims=True, dtype=np.int64)
    return requantize(acc, node.requantize, node.output)


@compute.register
def _(node: ChannelScale, types: tuple[FeatureMap, ...], codes: tuple[np.ndarray, ...]) -> np.ndarray:
    acc = centred(codes[0], types[0]) * centred(codes[1], types[1])
    return requantize(acc, node.requantize, node.output)


@compute.register
def _(node: Table, types: tuple[FeatureMap, ...], codes: tuple[np.ndarray, ...]) -> np.ndarray:
    return node.values[codes[0].astype(np.int32) - types[0].q_min]


@compute.register
def _(node: MaxPool, types: tuple[FeatureMap, ...], codes: tuple[np.ndarray, ...]) -> np.ndarray:
    # The smallest code in the padding never wins against a tap inside the map, and every window has one.
    x = pad(codes[0], node.padding, types[0].q_min)
    return np.maximum.reduce([part for _, part in taps(x, node.kernel, node.stride)])


@compute.register
def _(node: AvgPool, types: tuple[FeatureMap, ...], codes: tuple[np.ndarray, ...]) -> np.ndarray:
    x = pad(centred(codes[0], types[0]), node.padding, 0)
    acc = np.add.reduce([part for _, part in taps(x, node.kernel, node.stride)], dtype=np.int64)
    how = node.requantize
    if len(how.mult) > 1:
        inside = pad(np.ones((1, *types[0].shape[:2], 1), dtype=np.int64), node.padding, 0)
        count = np.add.reduce([part for _, part in taps(inside, node.kernel, node.stride)])
        how = replace(how, mult=how.mult[count - 1], shift=how.shift[count - 1])
    return requantize(acc, how, node.output)


@compute.register
def _(node: Concat, types: tuple[FeatureMap, ...], codes: tuple[np.ndarray, ...]) -> np.ndarray:
    return np.concatenate(codes, axis=-1)


@compute.register
def _(node: Flatten, types: tuple[FeatureMap, ...], codes: tuple[np.ndarray, ...]) -> np.ndarray:
    return codes[0].reshape(len(codes[0]), *node.output.shape)


@compute.register
def _(node: Pad, types: tuple[FeatureMap, ...], codes: tuple[np.ndarray, ...]) -> np.ndarray:
    return pad(codes[0], node.padding, types[0].uniform_zero_point)
