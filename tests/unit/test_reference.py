"""The reference executor against two others that share no code with it: plain loops over Python integers, and torch."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepdive.errors import DeepDiveError
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
    QNet,
    Requantize,
    Table,
)
from deepdive.qnet.reference import run
from networks import OPERATOR_NETWORKS, SEEDS, four_block_network, operator_networks, random_codes


def clipped(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)


def rounded(acc: int, how: Requantize, zero_point: int, channel: int) -> int:
    """The contract's formula on Python integers, which know no overflow."""
    index = channel if len(how.mult) > 1 else 0
    mult, shift = int(how.mult[index]), int(how.shift[index])
    if how.rounding == "half_even":  # as Python itself rounds
        return clipped(round(Fraction(acc * mult, 2**shift)) + zero_point, how.q_min, how.q_max)
    half = 2 ** (shift - 1) if how.rounding == "half_up" else 0
    return clipped((acc * mult + half) // 2**shift + zero_point, how.q_min, how.q_max)


def zero_at(x: FeatureMap, channel: int) -> int:
    return x.zero_points[channel] if len(x.zero_points) > 1 else x.zero_points[0]


def taps(node: Conv, x: FeatureMap, codes: np.ndarray, row: int, column: int, channel: int) -> Iterator[int]:
    """Every product of one output of a convolution."""
    out_channels, kernel_h, kernel_w, per_group = node.weight.shape
    first = channel // (out_channels // node.groups) * per_group
    for ky in range(kernel_h):
        for kx in range(kernel_w):
            y, z = row * node.stride[0] + ky - node.padding[0], column * node.stride[1] + kx - node.padding[1]
            if not (0 <= y < x.shape[0] and 0 <= z < x.shape[1]):
                continue
            for c in range(per_group):
                value = int(codes[y, z, first + c]) - zero_at(x, first + c)
                yield value * (int(node.weight[channel, ky, kx, c]) - int(node.weight_zero_point[channel]))


def inside(node: MaxPool | AvgPool, x: FeatureMap, row: int, column: int) -> list[tuple[int, int]]:
    """Pixels that a window sees of the map itself."""
    return [
        (y, z)
        for y in range(row * node.stride[0] - node.padding[0], row * node.stride[0] - node.padding[0] + node.kernel[0])
        for z in range(
            column * node.stride[1] - node.padding[1], column * node.stride[1] - node.padding[1] + node.kernel[1]
        )
        if 0 <= y < x.shape[0] and 0 <= z < x.shape[1]
    ]


def expected(node: Node, types: tuple[FeatureMap, ...], maps: list[np.ndarray], at: tuple[int, int, int]) -> int:
    """One code of what `node` writes for one image (height, width, channels), computed with plain loops."""
    row, column, channel = at
    values = [
        int(codes[at]) - zero_at(x, channel) if codes.shape == node.output.shape else 0
        for x, codes in zip(types, maps, strict=True)
    ]
    zero_point = node.output.uniform_zero_point
    match node:
        case Conv():
            acc = int(node.bias[channel]) + sum(taps(node, types[0], maps[0], row, column, channel))
            return rounded(acc, node.requantize, zero_point, channel)
        case Linear():
            acc = int(node.bias[channel])
            for c in range(types[0].shape[2]):
                weight = int(node.weight[channel, c]) - int(node.weight_zero_point[channel])
                acc += (int(maps[0][0, 0, c]) - zero_at(types[0], c)) * weight
            return rounded(acc, node.requantize, zero_point, channel)
        case Add():
            half = 2 ** (node.shift - 1) if node.rounding == "half_up" else 0
            total = values[0] * node.mult[0] + values[1] * node.mult[1] + half
            return clipped(total // 2**node.shift + zero_point, node.q_min, node.q_max)
        case GlobalAvgPool():
            pixels = maps[0][:, :, channel].reshape(-1).tolist()
            acc = sum(code - zero_at(types[0], channel) for code in pixels)
            return rounded(acc, node.requantize, zero_point, channel)
        case ChannelScale():
            factor = int(maps[1][0, 0, channel]) - zero_at(types[1], channel)
            return rounded(values[0] * factor, node.requantize, zero_point, channel)
        case Table():
            return int(node.values[int(maps[0][at]) - types[0].q_min])
        case MaxPool():
            return max(int(maps[0][y, z, channel]) for y, z in inside(node, types[0], row, column))
        case AvgPool():
            pixels = [maps[0][y, z, channel] for y, z in inside(node, types[0], row, column)]
            acc = sum(int(code) - zero_at(types[0], channel) for code in pixels)
            # The contract picks the multiplier by the number of taps, where there is one for each.
            return rounded(acc, node.requantize, zero_point, len(pixels) - 1)
        case Concat():
            first = types[0].shape[2]
            return int(maps[0][at] if channel < first else maps[1][row, column, channel - first])
        case Flatten():
            _, width, channels = types[0].shape
            pixel, c = divmod(channel, channels)
            return int(maps[0][pixel // width, pixel % width, c])
        case Pad():
            y, z = row - node.padding[0], column - node.padding[1]
            within = 0 <= y < types[0].shape[0] and 0 <= z < types[0].shape[1]
            return int(maps[0][y, z, channel]) if within else types[0].uniform_zero_point


@pytest.mark.parametrize("kind", OPERATOR_NETWORKS)
@settings(max_examples=40, deadline=None)
@given(data=st.data(), seed=SEEDS)
def test_equals_plain_loops(kind: str, data: st.DataObject, seed: int) -> None:
    net = data.draw(operator_networks(kind))
    maps = run(net, random_codes(net, 2, seed))
    rng = np.random.default_rng(seed)
    for node in net.nodes:
        computed = maps[node.name]
        assert computed.dtype == node.output.dtype
        assert computed.shape == (2, *node.output.shape)
        for _ in range(25):
            image, *at = (int(rng.integers(0, size)) for size in computed.shape)
            codes = [maps[name][image] for name in node.inputs]
            wanted = expected(node, net.inputs_of(node), codes, (at[0], at[1], at[2]))
            assert int(computed[(image, *at)]) == wanted, (node.name, image, at)


@settings(max_examples=60, deadline=None)
@given(net=operator_networks("Conv"), seed=SEEDS)
def test_convolution_equals_torch(net: QNet, seed: int) -> None:
    (node,) = net.nodes
    assert isinstance(node, Conv)
    images = random_codes(net, 3, seed)
    top, left, bottom, right = node.padding
    x = torch.from_numpy((images.astype(np.float64) - net.input.zero_point_array).transpose(0, 3, 1, 2).copy())
    x = torch.nn.functional.pad(x, (left, right, top, bottom))
    weight = node.weight.astype(np.float64) - node.weight_zero_point[:, None, None, None]
    acc = torch.nn.functional.conv2d(
        x,
        torch.from_numpy(weight.transpose(0, 3, 1, 2).copy()),
        torch.from_numpy(node.bias.astype(np.float64)),
        stride=node.stride,
        groups=node.groups,
    )
    how = node.requantize
    factor = torch.from_numpy(how.mult.astype(np.float64) / 2.0 ** how.shift.astype(np.float64))[:, None, None]
    scaled = torch.floor(acc * factor + (0.5 if how.rounding == "half_up" else 0.0))
    codes = torch.clamp(scaled + node.output.uniform_zero_point, how.q_min, how.q_max)
    wanted = codes.numpy().transpose(0, 2, 3, 1)
    assert np.array_equal(run(net, images)[node.name], wanted)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_accumulators_do_not_saturate(sign: int) -> None:
    """Every code and every weight at its end, for as many channels as int32 holds: only the bias is left over."""
    x = FeatureMap("image", (1, 1, 60000), 8, False, 1.0, 0)
    weight = np.full((2, 1, 1, 60000), 127 if sign > 0 else -128, dtype=np.int8)
    total = 60000 * 255 * int(weight[0, 0, 0, 0])
    bias = np.array([-total, -total + sign], dtype=np.int32)
    how = Requantize(np.array([1], np.uint16), np.array([1], np.uint8), -128, 127)
    output = FeatureMap("y", (1, 1, 2), 8, True, 1.0, 0)
    net = QNet("corner", x, (Conv("image", output, weight, 8, bias, how, np.zeros(2, np.int16)),))
    codes = net.run(np.full((1, 1, 1, 60000), 255, dtype=np.uint8))
    assert codes.reshape(-1).tolist() == [0, 1 if sign > 0 else 0]  # (+-1 + 1) >> 1


@pytest.mark.parametrize(
    ("rounding", "wanted"),
    [("half_up", [-1, -1, 0, 0, 1, 1, 2]), ("floor", [-2, -1, -1, 0, 0, 1, 1])],
)
def test_rounding_of_halves(rounding: str, wanted: list[int]) -> None:
    x = FeatureMap("image", (1, 7, 1), 8, True)
    output = FeatureMap("y", (1, 7, 1), 8, True)
    how = Requantize(np.array([1], np.uint16), np.array([1], np.uint8), -128, 127, rounding)  # type: ignore[arg-type]
    one = np.ones((1, 1, 1, 1), np.int8)
    net = QNet("halves", x, (Conv("image", output, one, 8, np.zeros(1, np.int32), how, np.zeros(1, np.int16)),))
    codes = np.arange(-3, 4, dtype=np.int8).reshape(1, 1, 7, 1)
    assert net.run(codes).reshape(-1).tolist() == wanted


def test_means_that_lie_between_two_codes_go_to_the_even_one() -> None:
    x = FeatureMap("image", (2, 32, 1), 8, True)
    output = FeatureMap("y", (1, 16, 1), 8, True, zero_point=1)
    how = Requantize(np.array([1], np.uint16), np.array([2], np.uint8), -128, 127, "half_even")
    net = QNet("means", x, (AvgPool("image", output, how, (2, 2), (2, 2)),))
    codes = np.zeros((1, 2, 32, 1), np.int8)
    codes[0, 0, ::2, 0] = np.arange(-8, 8)
    wanted = np.rint(np.arange(-8, 8) / 4) + 1
    assert net.run(codes).reshape(-1).tolist() == wanted.tolist()
    assert -1 in wanted  # -1.5 and -2.5 become -2, 0.5 becomes 0


def divide_by(counts: list[int]) -> Requantize:
    """Multipliers for one over each count."""
    mult = np.rint([2**15 / count for count in counts]).astype(np.uint16)
    return Requantize(mult, np.full(len(counts), 15, np.uint8), 0, 255)


def test_an_average_counts_its_padding_or_not() -> None:
    """A grey picture stays as it is where padding does not count, and fades at its rim where it does."""
    x, output = FeatureMap("image", (3, 3, 1)), FeatureMap("mean", (3, 3, 1))
    grey = np.full((1, 3, 3, 1), 180, np.uint8)
    for how, wanted in (
        (divide_by([9]), [[80, 120, 80], [120, 180, 120], [80, 120, 80]]),
        (divide_by(list(range(1, 10))), [[180] * 3] * 3),
    ):
        net = QNet("mean", x, (AvgPool("image", output, how, (3, 3), (1, 1), (1, 1, 1, 1)),))
        assert net.run(grey)[0, :, :, 0].tolist() == wanted


@settings(max_examples=40, deadline=None)
@given(net=operator_networks("MaxPool"), seed=SEEDS)
def test_max_pool_equals_torch(net: QNet, seed: int) -> None:
    (node,) = net.nodes
    assert isinstance(node, MaxPool)
    images = random_codes(net, 2, seed)
    top, left, bottom, right = node.padding
    x = torch.from_numpy(images.astype(np.float64).transpose(0, 3, 1, 2).copy())
    x = torch.nn.functional.pad(x, (left, right, top, bottom), value=float("-inf"))
    wanted = torch.nn.functional.max_pool2d(x, node.kernel, node.stride).numpy().transpose(0, 2, 3, 1)
    assert np.array_equal(net.run(images), wanted)


def test_flatten_takes_channels_innermost() -> None:
    """PyTorch's Flatten takes them outermost: its next layer's weights (out, C * H * W) become (out, H * W * C)."""
    rng = np.random.default_rng(0)
    x = FeatureMap("image", (2, 3, 4), zero_point=7)
    images = rng.integers(0, 256, (5, 2, 3, 4), dtype=np.uint8)
    theirs = rng.integers(-8, 8, (6, 4 * 2 * 3), dtype=np.int8)
    ours = theirs.reshape(6, 4, 2, 3).transpose(0, 2, 3, 1).reshape(6, -1)
    how = Requantize(np.array([1], np.uint16), np.array([4], np.uint8), -128, 127, "floor")
    vector, output = FeatureMap("vector", (1, 1, 24), zero_point=7), FeatureMap("y", (1, 1, 6), signed=True)
    linear = Linear("vector", output, ours, 4, np.zeros(6, np.int32), how, np.zeros(6, np.int16))
    net = QNet("flat", x, (Flatten("image", vector), linear))
    flat = torch.from_numpy(images.astype(np.float64) - 7).permute(0, 3, 1, 2).flatten(1)
    acc = flat @ torch.from_numpy(theirs.astype(np.float64)).T
    wanted = torch.clamp(torch.floor(acc / 16), -128, 127).numpy()
    assert np.array_equal(net.run(images).reshape(5, 6), wanted)


def test_run_returns_every_map_or_the_output() -> None:
    net = four_block_network()
    images = random_codes(net)
    maps = net.run(images, every=True)
    assert isinstance(maps, dict)
    assert list(maps) == list(net.maps)
    assert np.array_equal(maps["classifier"], net.run(images))
    assert np.array_equal(maps["image"], images)


def test_progress_is_told_each_node() -> None:
    net, told = four_block_network(), list[str]()
    run(net, random_codes(net, 1), told.append)
    assert told == [node.name for node in net.nodes]


def test_an_empty_batch_gives_an_empty_batch() -> None:
    net = four_block_network()
    assert net.run(np.zeros((0, 16, 16, 3), np.uint8)).shape == (0, 1, 1, 10)


def test_wrong_images_are_refused() -> None:
    net = four_block_network()
    with pytest.raises(DeepDiveError) as caught:
        net.run(np.zeros((2, 3, 16, 16), np.uint8))
    assert str(caught.value) == "Input codes are uint8(2, 3, 16, 16); the network wants uint8(batch, 16, 16, 3)."
    with pytest.raises(DeepDiveError, match=r"^Input codes are float32\(1, 16, 16, 3\); the network wants uint8"):
        net.run(np.zeros((1, 16, 16, 3), np.float32))
    narrow = QNet("narrow", FeatureMap("image", (1, 1, 1), 4), (identity(FeatureMap("image", (1, 1, 1), 4)),))
    with pytest.raises(DeepDiveError) as caught:
        narrow.run(np.full((1, 1, 1, 1), 16, np.uint8))
    assert str(caught.value) == "Input codes leave 0..15, the 4 bits of the input."


def identity(x: FeatureMap) -> Table:
    codes = np.arange(x.q_min, x.q_max + 1).astype(x.dtype)
    return Table(x.name, FeatureMap("y", x.shape, x.bits, x.signed), codes)
