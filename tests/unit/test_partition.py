"""From nodes to units: the patterns of the paper, and everything that fits none of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from deepdive.compiler.operations import stored_bits
from deepdive.compiler.partition import partition
from deepdive.compiler.plan import UnitPlan
from deepdive.qnet import Conv, FeatureMap, QNet
from networks import Block, NetworkBuilder, Numbers, Separable, Window, four_block_network, separable_networks
from zoo_networks import efficientnet_lite0, mobilenet_v2

PLAIN = Numbers()


def builder(shape: tuple[int, int, int] = (8, 8, 4)) -> NetworkBuilder:
    return NetworkBuilder(FeatureMap("image", shape), 1)


def story(plans: tuple[UnitPlan, ...]) -> list[tuple[str, list[str]]]:
    return [(plan.name, [operation.kind for operation in plan.operations]) for plan in plans]


def test_four_blocks() -> None:
    assert story(partition(four_block_network())) == [
        ("head", ["window", "conv", "window", "depthwise", "pointwise"]),
        ("body1", ["fork", "pointwise", "window", "depthwise", "pointwise", "add"]),
        ("body2", ["pointwise", "window", "depthwise", "pointwise"]),
        ("tail", ["pointwise", "global_avg_pool"]),
        ("classifier", ["linear"]),
    ]


@pytest.mark.parametrize(("make", "bodies"), [(mobilenet_v2, 16), (efficientnet_lite0, 15)])
def test_zoo(make: Callable[[int], QNet], bodies: int) -> None:
    net = make(32)
    plans = partition(net)
    kinds = [plan.kind for plan in plans]
    assert kinds == ["head", *["body"] * bodies, "tail", "classifier"]
    assert [name for plan in plans for name in plan.blocks] == [node.name for node in net.nodes]


def test_dense_convolution_in_the_middle_is_a_body() -> None:
    net = builder()
    x = net.conv("stem", net.source, 8, Window.same(3), PLAIN)
    x = net.conv("dense", x, 8, Window.same(3, 2), PLAIN)
    x = net.conv("grouped", x, 8, Window.same(3), PLAIN, groups=2)
    x = net.conv("strided", x, 8, Window((1, 1), (2, 2)), PLAIN)
    net.conv("last", x, 8, Window(), PLAIN)
    assert story(partition(net.build())) == [
        ("head", ["window", "conv"]),
        ("body1", ["window", "conv"]),
        ("body2", ["window", "conv"]),
        ("body3", ["window", "pointwise"]),
        ("body4", ["pointwise"]),
    ]


def test_grouped_convolution_runs_dense() -> None:
    net = builder()
    net.conv("grouped", net.source, 8, Window.same(3), PLAIN, groups=2)
    assert partition(net.build())[0].operations[1].fields["conv_groups"] == 2


def test_separable_blocks_without_expansion_and_several_linears() -> None:
    net = builder()
    x = net.conv("stem", net.source, 8, Window.same(3), PLAIN)
    for name in "ab":
        x = net.depthwise(f"{name}.depthwise", x, Window.same(3), PLAIN)
        x = net.conv(f"{name}.pointwise", x, 8, Window(), PLAIN)
    x = net.global_avg_pool("pool", x, PLAIN)
    x = net.linear("hidden", x, 6, PLAIN)
    net.linear("classes", x, 5, PLAIN)
    plans = partition(net.build())
    assert [plan.name for plan in plans] == ["head", "body1", "tail", "classifier"]
    assert plans[-1].blocks == ("hidden", "classes")


def test_a_map_that_is_read_three_times_and_an_add_of_itself() -> None:
    net = builder()
    x = net.conv("stem", net.source, 4, Window.same(3), PLAIN)
    a = net.conv("a", x, 4, Window.same(3), PLAIN)
    b = net.add("b", a, x, PLAIN)
    c = net.add("c", b, x, PLAIN)
    net.add("d", c, c, PLAIN)
    plans = partition(net.build())
    assert story(plans) == [
        ("head", ["window", "conv"]),
        ("body1", ["fork", "fork", "window", "conv", "add", "add"]),
        ("body2", ["fork", "add"]),
    ]
    first, second = plans[1].operations[:2]
    assert first.outputs[1] == second.inputs[0]
    assert plans[1].operations[4].inputs[1] == second.outputs[0]
    assert plans[1].operations[5].inputs[1] == second.outputs[1]


def test_tables_belong_to_their_neighbours() -> None:
    net = builder()
    x = net.table("before", net.source, PLAIN)
    x = net.conv("stem", x, 8, Window.same(3), PLAIN)
    x = net.table("stem.act", x, PLAIN)
    skip = x
    x = net.conv("expand", x, 16, Window(), PLAIN)
    x = net.table("expand.act", x, PLAIN)
    x = net.depthwise("depthwise", x, Window.same(3), PLAIN)
    x = net.table("depthwise.act", x, PLAIN)
    x = net.conv("project", x, 8, Window(), PLAIN)
    x = net.add("add", net.table("scaled", x, PLAIN), net.table("skip", skip, PLAIN), PLAIN)
    x = net.table("add.act", x, PLAIN)
    x = net.conv("tail", x, 16, Window(), PLAIN)
    x = net.table("tail.act", x, PLAIN)
    x = net.global_avg_pool("pool", x, PLAIN)
    x = net.linear("hidden", x, 6, PLAIN)
    x = net.table("hidden.act", x, PLAIN)
    net.linear("classes", x, 5, PLAIN)
    assert story(partition(net.build())) == [
        ("head", ["table", "window", "conv", "table"]),
        (
            "body1",
            [
                "fork",
                "pointwise",
                "table",
                "window",
                "depthwise",
                "table",
                "pointwise",
                "table",
                "table",
                "add",
                "table",
            ],
        ),
        ("tail", ["pointwise", "table", "global_avg_pool"]),
        ("classifier", ["linear", "table", "linear"]),
    ]


def test_squeeze_excite_is_part_of_its_body() -> None:
    plan = Separable(blocks=(Block(16, stride=2, squeeze=2, tables=True), Block(16, squeeze=2)))
    branch = ["global_avg_pool", "pointwise", "table", "linear", "table", "channel_scale"]
    plans = partition(plan.build(1))
    assert story(plans)[1:3] == [
        ("body1", ["pointwise", "table", "window", "depthwise", "table", "fork", *branch, "pointwise"]),
        (
            "body2",
            [
                *("fork", "pointwise", "window", "depthwise", "fork"),
                *(kind for kind in branch if kind != "table"),
                *("pointwise", "add"),
            ],
        ),
    ]
    hurried = [operation.kind for operation in plans[1].operations if operation.hurry > 1]
    assert hurried == ["pointwise", "table", "linear", "table"]


def test_pools_of_windows_and_flatten() -> None:
    net = builder()
    x = net.conv("stem", net.source, 8, Window.same(3), PLAIN)
    x = net.max_pool("largest", x, Window.same(3, 2))
    x = net.conv("dense", x, 8, Window.same(3), PLAIN)
    x = net.avg_pool("mean", x, Window((2, 2), (2, 2)), PLAIN)
    x = net.flatten("vector", x)
    net.linear("classes", x, 5, PLAIN)
    plans = partition(net.build())
    assert story(plans) == [
        ("head", ["window", "conv", "window", "max_pool"]),
        ("body1", ["window", "conv"]),
        ("body2", ["window", "avg_pool"]),
        ("classifier", ["flatten", "linear"]),
    ]
    assert plans[0].operations[2].fields["zero_point"] == (0,)


def test_a_frame_belongs_to_what_comes_next() -> None:
    net = builder()
    x = net.conv("stem", net.pad("frame", net.source, (0, 0, 1, 1)), 8, Window((3, 3), (2, 2)), PLAIN)
    x = net.conv("expand", x, 8, Window(), PLAIN)
    x = net.depthwise("depthwise", net.pad("frame2", x, (3, 3, 3, 3)), Window((3, 3)), PLAIN)
    net.conv("project", x, 8, Window(), PLAIN)
    assert story(partition(net.build())) == [
        ("head", ["pad", "window", "conv"]),
        ("body1", ["pointwise", "pad", "window", "depthwise", "pointwise"]),
    ]


def test_accumulators_are_as_wide_as_proven() -> None:
    net = builder((4, 4, 3))
    net.conv("conv", net.source, 2, Window(), PLAIN)
    built = net.build()
    low, high = built.nodes[0].acc_range(built.input)  # type: ignore[union-attr]
    bits = partition(built)[0].operations[0].fields["requantizer"].acc_bits
    assert -(1 << (bits - 1)) <= low <= high < 1 << (bits - 1)
    assert not -(1 << (bits - 2)) <= low <= high < 1 << (bits - 2)


def test_maps_side_by_side_are_a_body() -> None:
    net = builder()
    x = net.conv("stem", net.source, 8, Window.same(3), PLAIN)
    net.concat("features.1.join", x, x)
    body = partition(net.build())[1]
    assert (body.kind, body.blocks) == ("body", ("features.1.join",))
    assert [operation.kind for operation in body.operations] == ["fork", "concat"]
    assert body.operations[1].outputs[0].channels == 16


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(separable_networks())
def test_every_node_is_in_one_unit_and_every_edge_has_two_ends(net: QNet) -> None:
    plans = partition(net)
    assert [name for plan in plans for name in plan.blocks] == [node.name for node in net.nodes]
    operations = [operation for plan in plans for operation in plan.operations]
    read = [edge.name for operation in operations for edge in operation.inputs]
    written = [edge.name for operation in operations for edge in operation.outputs]
    assert len(set(read)) == len(read)
    assert len(set(written)) == len(written)
    assert set(read) - set(written) == {"image"}
    assert set(written) - set(read) == {operations[-1].outputs[0].name}


@pytest.mark.parametrize(("zero_point", "bits"), [(0, 4), (7, 5)])
def test_weights_with_a_zero_point_are_wider_than_their_codes(zero_point: int, bits: int) -> None:
    """Codes -8..7 less 7 are -15..0: five bits, so that two of them share no DSP."""
    net = four_block_network()
    conv = next(node for node in net.nodes if isinstance(node, Conv) and node.is_pointwise)
    codes = np.resize(np.arange(-8, 8, dtype=np.int8), conv.weight.shape)
    zero_points = np.full_like(conv.weight_zero_point, zero_point)
    assert stored_bits(replace(conv, weight=codes, weight_bits=4, weight_zero_point=zero_points)) == bits
