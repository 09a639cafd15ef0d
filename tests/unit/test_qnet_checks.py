"""What the contract does not allow is refused when a network is made, by a sentence that names it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

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
    Pad,
    QNet,
    Requantize,
    Table,
)
from deepdive.qnet.ops import Node
from networks import conv_networks, four_block_network, random_codes

X = FeatureMap("x", (5, 4, 3), 8, False, 0.5, (1, 2, 3))
VECTOR = FeatureMap("x", (1, 1, 3))
Y = FeatureMap("y", (5, 4, 2))
HOW = Requantize(np.array([1, 2], np.uint16), np.array([1, 48], np.uint8), 0, 255)
ONE = Requantize(np.array([1], np.uint16), np.array([1], np.uint8), 0, 255)
ZEROS = np.zeros(2, np.int16)
BIAS = np.zeros(2, np.int32)
CONV = Conv("x", Y, np.ones((2, 3, 3, 3), np.int8), 8, BIAS, HOW, ZEROS, padding=(1, 1, 1, 1))
LINEAR = Linear("x", FeatureMap("y", (1, 1, 2)), np.ones((2, 3), np.int8), 8, BIAS, HOW, ZEROS)
ADD = Add(("x", "x"), replace(Y, shape=X.shape), (1, 1), 1, 0, 255)
POOL = GlobalAvgPool("x", FeatureMap("y", (1, 1, 3)), ONE)
TABLE = Table("x", replace(Y, shape=X.shape), np.arange(256, dtype=np.uint8))


def message(make: Callable[[], object]) -> str:
    with pytest.raises(DeepDiveError) as caught:
        make()
    return str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "wanted"),
    [
        ({"name": ""}, "A feature map has an empty name; give every tensor a name."),
        ({"name": "a\nb"}, "Feature map 'a\\nb' wants a name of 1 to 1000 printable characters."),
        ({"shape": (5, 4)}, "Feature map 'x' has shape (5, 4); want (height, width, channels) >= 1."),
        ({"shape": (5, 0, 3)}, "Feature map 'x' has shape (5, 0, 3); want (height, width, channels) >= 1."),
        ({"shape": (5.0, 4, 3)}, "Feature map 'x' has shape (5.0, 4, 3); want (height, width, channels) >= 1."),
        ({"shape": (1 << 20, 1 << 20, 3)}, f"Feature map 'x' has {3 << 40} elements; at most {1 << 28} are allowed."),
        ({"bits": 1}, "Feature map 'x' has 1 bits; choose 2 to 8."),
        ({"bits": 9}, "Feature map 'x' has 9 bits; choose 2 to 8."),
        ({"scale": float("nan")}, "Feature map 'x' has scale nan; it must be finite and positive."),
        ({"scale": float("inf")}, "Feature map 'x' has scale inf; it must be finite and positive."),
        ({"scale": 0.0}, "Feature map 'x' has scale 0.0; it must be finite and positive."),
        ({"zero_point": (1, 2)}, "Feature map 'x' has 2 zero points; want 1 or 3 (one a channel)."),
        ({"zero_point": ()}, "Feature map 'x' has 0 zero points; want 1 or 3 (one a channel)."),
        ({"zero_point": 256}, "Feature map 'x' has zero point 256 outside its codes 0..255."),
        ({"zero_point": (1, -1, 3)}, "Feature map 'x' has zero point (1, -1, 3) outside its codes 0..255."),
        ({"signed": True, "zero_point": 128}, "Feature map 'x' has zero point 128 outside its codes -128..127."),
    ],
)
def test_feature_maps(wrong: dict[str, Any], wanted: str) -> None:
    assert message(lambda: replace(X, **wrong)) == wanted


def test_feature_map_codes_and_values() -> None:
    x = FeatureMap("x", (1, 1, 2), 4, True, 0.25, (-8, 7))
    assert (x.q_min, x.q_max, x.dtype) == (-8, 7, np.int8)
    assert x.dequantize(np.array([-8, -8], np.int8)).tolist() == [0.0, -3.75]
    assert FeatureMap("x", (1, 1, 1), zero_point=(7,)) == FeatureMap("x", (1, 1, 1), zero_point=7)
    assert message(lambda: x.uniform_zero_point) == (
        "Feature map 'x' has a zero point per channel; only a network input may."
    )


WRONG_NODES: list[tuple[Node, str]] = [
    (replace(CONV, weight_bits=9), "'y': weights have 9 bits; choose 2 to 8."),
    (
        replace(CONV, weight=np.ones((2, 3, 3, 3), np.int16)),
        "'y': weight is int16(2, 3, 3, 3); want 4-D int8 or uint8.",
    ),
    (replace(CONV, weight=np.ones((2, 3, 3), np.int8)), "'y': weight is int8(2, 3, 3); want 4-D int8 or uint8."),
    (
        replace(CONV, weight=np.full((2, 3, 3, 3), 8, np.int8), weight_bits=4),
        "'y': weight codes 8..8 exceed 4 bits (-8..7).",
    ),
    (replace(CONV, bias=np.zeros(3, np.int32)), "'y': bias is int32(3,); want int32(2,)."),
    (replace(CONV, bias=np.zeros(2, np.int64)), "'y': bias is int64(2,); want int32(2,)."),
    (
        replace(CONV, weight_zero_point=np.zeros(2, np.int8)),
        "'y': weight zero point is int8(2,); want int16(2,).",
    ),
    (
        replace(CONV, weight_zero_point=np.full(2, 128, np.int16)),
        "'y': a weight zero point lies outside the weight codes -128..127.",
    ),
    (replace(CONV, groups=3), "'y': weight (2, 3, 3, 3) with 3 groups does not fit 3 input channels."),
    (replace(CONV, groups=0), "'y': weight (2, 3, 3, 3) with 0 groups does not fit 3 input channels."),
    (replace(CONV, stride=(0, 1)), "'y': stride (0, 1) and padding (1, 1, 1, 1) must be >= 1 and >= 0."),
    (replace(CONV, padding=(1, 1, 3, 1)), "'y': padding (1, 1, 3, 1) must be smaller than the kernel (3, 3)."),
    (
        replace(CONV, weight=np.ones((2, 3, 7, 3), np.int8)),
        "'y': kernel (3, 7) is larger than its padded input (5, 4, 3).",
    ),
    (replace(CONV, padding=(0, 1, 1, 1)), "'y': output is declared as (5, 4, 2) but computes (4, 4, 2)."),
    (
        replace(CONV, requantize=replace(HOW, mult=np.ones(3, np.uint16))),
        "'y': mult is uint16(3,); want uint16 of shape (1,) or (2,).",
    ),
    (
        replace(CONV, requantize=replace(HOW, shift=np.ones(2, np.int64))),
        "'y': shift is int64(2,); want uint8 of shape (1,) or (2,).",
    ),
    (
        replace(CONV, requantize=replace(HOW, mult=np.ones(1, np.uint16))),
        "'y': mult has shape (1,) but shift (2,); make them equal.",
    ),
    (
        replace(CONV, requantize=replace(HOW, shift=np.array([0, 49], np.uint8))),
        "'y': shift 0..49 is outside 1..48.",
    ),
    (
        replace(CONV, requantize=replace(HOW, rounding="even")),  # type: ignore[arg-type]
        "'y': rounding 'even' is unknown; use 'half_up' or 'floor'.",
    ),
    (
        replace(CONV, requantize=replace(HOW, rounding="half_even")),
        "'y': rounding 'half_even' is for pools alone; use 'half_up' or 'floor'.",
    ),
    (
        replace(CONV, requantize=replace(HOW, q_max=256)),
        "'y': clip 0..256 is not within the codes 0..255.",
    ),
    (replace(CONV, requantize=replace(HOW, q_min=9, q_max=8)), "'y': clip 9..8 is not within the codes 0..255."),
    (
        replace(CONV, bias=np.array([0, 2**31 - 1], np.int32)),
        "'y': its accumulator can reach -54..2147490478, beyond int32; use fewer bits or channels.",
    ),
    (LINEAR, "'y': Linear reads (5, 4, 3); flatten or pool it to (1, 1, channels) first."),
    (replace(ADD, mult=(1, 65536)), "'y': mult (1, 65536), shift 1 outside 0..65535, 1..48."),
    (replace(ADD, shift=0), "'y': mult (1, 1), shift 0 outside 0..65535, 1..48."),
    (replace(ADD, output=Y), "'y': output is declared as (5, 4, 2) but computes (5, 4, 3)."),
    (
        replace(ADD, rounding="up"),  # type: ignore[arg-type]
        "'y': rounding 'up' is unknown; use 'half_up' or 'floor'.",
    ),
    (replace(ADD, q_min=-1), "'y': clip -1..255 is not within the codes 0..255."),
    (replace(POOL, requantize=HOW), "'y': mult is uint16(2,); want uint16 of shape (1,) or (1,)."),
    (replace(POOL, output=Y), "'y': output is declared as (5, 4, 2) but computes (1, 1, 3)."),
    (
        ChannelScale(("x", "x"), replace(Y, shape=X.shape), ONE),
        "'y': factors have shape (5, 4, 3); want (1, 1, 3).",
    ),
    (replace(TABLE, values=np.arange(255, dtype=np.uint8)), "'y': table is uint8(255,); want uint8(256,)."),
    (
        replace(TABLE, output=FeatureMap("y", X.shape, 4)),
        "'y': table holds codes outside 0..15.",
    ),
    (replace(TABLE, output=Y), "'y': output is declared as (5, 4, 2) but computes (5, 4, 3)."),
    (
        replace(TABLE, output=replace(X, name="y")),
        "'y' has a zero point per channel; only the network input may.",
    ),
    (replace(TABLE, input="z"), "'y' reads 'z', which no earlier node writes."),
    (replace(TABLE, output=replace(TABLE.output, name="x")), "Two feature maps are named 'x'; names must be unique."),
]


U = FeatureMap("x", (5, 4, 3), 8, False, 0.5, 1)
MOVED = "differ from those of 'x', whose codes it passes on; put a Table between them."
SAME = replace(U, name="y")
MAX = MaxPool("x", replace(SAME, shape=(2, 2, 3)), (3, 2), (2, 2))
MEAN = AvgPool("x", FeatureMap("y", (2, 2, 3)), ONE, (3, 2), (2, 2))
WRONG_MOVES: list[tuple[Node, str]] = [
    (replace(MAX, output=replace(MAX.output, scale=0.25)), f"'y': bits, sign, scale or zero point {MOVED}"),
    (replace(MAX, output=replace(MAX.output, zero_point=0)), f"'y': bits, sign, scale or zero point {MOVED}"),
    (replace(MAX, output=replace(MAX.output, bits=7)), f"'y': bits, sign, scale or zero point {MOVED}"),
    (replace(MAX, stride=(1, 2)), "'y': output is declared as (2, 2, 3) but computes (3, 2, 3)."),
    (replace(MAX, kernel=(0, 2)), "'y': kernel (0, 2) must be two numbers >= 1."),
    (replace(MAX, kernel=(6, 2)), "'y': kernel (6, 2) is larger than its padded input (5, 4, 3)."),
    (replace(MAX, padding=(0, 2, 0, 0)), "'y': padding (0, 2, 0, 0) must be smaller than the kernel (3, 2)."),
    (
        replace(MAX, kernel=(2**40, 2), padding=(2**39, 0, 2**39, 0), stride=(2**41, 2)),
        f"'y': its padded input has {2**40 + 5}x4 pixels; at most {2**28} codes are allowed.",
    ),
    (
        replace(MEAN, requantize=replace(ONE, mult=np.ones(5, np.uint16), shift=np.ones(5, np.uint8))),
        "'y': mult is uint16(5,); want uint16 of shape (1,) or (6,).",
    ),
    (replace(MEAN, output=U), "Two feature maps are named 'x'; names must be unique."),
    (replace(MEAN, stride=(0, 1)), "'y': stride (0, 1) and padding (0, 0, 0, 0) must be >= 1 and >= 0."),
    (Concat(("x", "x"), SAME), "'y': output is declared as (5, 4, 3) but computes (5, 4, 6)."),
    (
        Concat(("x", "x"), replace(SAME, shape=(5, 4, 6), signed=True)),
        f"'y': bits, sign, scale or zero point {MOVED}",
    ),
    (Flatten("x", replace(SAME, shape=(1, 1, 20))), "'y': output is declared as (1, 1, 20) but computes (1, 1, 60)."),
    (Pad("x", SAME, (0, 0, -1, 1)), "'y': padding (0, 0, -1, 1) must be four numbers >= 0."),
    (Pad("x", SAME, (0, 0, 1, 1)), "'y': output is declared as (5, 4, 3) but computes (6, 5, 3)."),
]


@pytest.mark.parametrize(("node", "wanted"), WRONG_MOVES)
def test_pools_and_nodes_that_move_codes(node: Node, wanted: str) -> None:
    assert message(lambda: QNet("net", U, (node,))) == wanted


def test_concat_of_maps_of_other_sizes() -> None:
    far = replace(SAME, name="z", shape=(4, 5, 3))
    assert message(lambda: Concat(("x", "z"), replace(SAME, shape=(5, 4, 6))).check(U, far)) == (
        "'y': joins (5, 4, 3) and (4, 5, 3); height and width must be equal."
    )


@pytest.mark.parametrize(("node", "wanted"), WRONG_NODES, ids=[wanted[:60] for _, wanted in WRONG_NODES])
def test_nodes(node: Node, wanted: str) -> None:
    assert message(lambda: QNet("net", X, (node,))) == wanted


def test_networks() -> None:
    assert message(lambda: QNet("net", X, ())) == "Network 'net' has no nodes."
    other = replace(TABLE, output=replace(TABLE.output, name="z"))
    assert message(lambda: QNet("net", X, (TABLE, other))) == "Nobody reads ['y']; remove what is not used."
    assert message(lambda: QNet("net", X, (CONV,), labels=("a",))) == "1 labels do not fit 2 output channels."
    far = FeatureMap("z", (4, 5, 3))
    reshaped = Add(("x", "z"), far, (1, 1), 1, 0, 255)
    assert message(lambda: reshaped.check(X, far)) == "'z': adds (5, 4, 3) and (4, 5, 3); shapes must be equal."


def test_what_a_network_tells_of_itself() -> None:
    net = four_block_network()
    assert net.output.name == "classifier"
    assert [node.name for node in net.readers("head.project")] == ["body1.expand", "body1.add"]
    add = next(node for node in net.nodes if isinstance(node, Add))
    assert [x.name for x in net.inputs_of(add)] == ["head.project", "body1.project"]
    stem, depthwise, project = net.nodes[:3]
    assert isinstance(stem, Conv)
    assert isinstance(depthwise, Conv)
    assert isinstance(project, Conv)
    assert (stem.is_depthwise, depthwise.is_depthwise, project.is_depthwise) == (False, True, False)
    assert (stem.is_pointwise, depthwise.is_pointwise, project.is_pointwise) == (False, False, True)
    assert stem.macs() == 8 * 8 * 8 * 27
    assert net.macs() == sum(node.macs() for node in net.nodes)
    maps = net.maps
    maps.clear()
    assert net.maps


@settings(max_examples=60, deadline=None)
@given(net=conv_networks())
def test_the_accumulator_s_range_is_exact(net: QNet) -> None:
    """The bound is reached by the input that has, at each tap, the code that pulls hardest in one direction."""
    (node,) = net.nodes
    assert isinstance(node, Conv)
    x = net.input
    zero = np.broadcast_to(x.zero_point_array, (x.shape[2],))
    out_channels, _, _, per_group = node.weight.shape
    lowest, highest = [], []
    for channel in range(out_channels):
        first = channel // (out_channels // node.groups) * per_group
        weight = node.centred_weight[channel].astype(int).reshape(-1, per_group)
        low = high = int(node.bias[channel])
        for tap in weight:
            for c, value in enumerate(tap):
                ends = [int(value) * (code - int(zero[first + c])) for code in (x.q_min, x.q_max)]
                low, high = low + min(ends), high + max(ends)
        lowest.append(low - max(int(node.bias[channel]), 0))
        highest.append(high - min(int(node.bias[channel]), 0))
    assert node.acc_range(x) == (min(lowest), max(highest))


def test_random_codes_hold_both_ends() -> None:
    codes = random_codes(four_block_network(), 3)
    assert set(np.unique(codes[0])) == {0, 255}
    assert len(np.unique(codes[1])) > 100
