"""Maps whose channels few lanes divide: what is added to them, where, and what that brings."""

from __future__ import annotations

import pytest

import zoo_networks
from deepdive.compiler.compile import compile as compile_network
from deepdive.compiler.padding import alike, padded, paddings
from deepdive.compiler.partition import partition
from deepdive.compiler.plan import Edge
from deepdive.hardware.stream import Stream
from deepdive.qnet import FeatureMap, QNet
from networks import Block, NetworkBuilder, Numbers, Separable, Window

WIDTHS = zoo_networks.rounded


def is_prime(number: int) -> bool:
    return number > 1 and all(number % n for n in range(2, int(number**0.5) + 1))


def nearest_prime(channels: float) -> int:
    """To the width of MobileNet's rule, or as near as a prime number is."""
    width = WIDTHS(channels)
    return min(filter(is_prime, range(2, 2 * width)), key=lambda number: (abs(number - width), number))


BY_HAND = {16: (0,), 24: (0,), 96: (0,), 47: (0, 1), 57: (0, 3, 7), 61: (0, 1, 3), 1: (0, 1), 3: (0, 1), 184: (0, 8)}


@pytest.mark.parametrize(("channels", "added"), BY_HAND.items())
def test_paddings_by_hand(channels: int, added: tuple[int, ...]) -> None:
    """57 to 60 or 64, which have more divisors than 58; 96 has more of them than any number near it."""
    assert paddings(channels) == added


def test_no_more_than_an_eighth_is_added() -> None:
    for channels in range(8, 2000):
        assert all(added * 8 <= channels for added in paddings(channels))
        assert len(paddings(channels)) <= 3


def residual() -> QNet:
    """A residual block with squeeze-excite of prime channels, a tail, and eleven classes."""
    return Separable(12, 10, (5, 7), (Block(7, expand=1, squeeze=3),), features=11, classes=11).build(0)


def test_maps_between_dense_stages_are_padded_alike() -> None:
    operations = [operation for plan in partition(residual()) for operation in plan.operations]
    groups = [{edge.name for edge in edges} for edges in alike(operations)]
    assert all(len({edge.channels for edge in edges}) == 1 for edges in alike(operations))
    (add,) = (operation for operation in operations if operation.kind == "add")
    (scale,) = (operation for operation in operations if operation.kind == "channel_scale")
    for joined in (add, scale):
        names = {edge.name for edge in (*joined.inputs, *joined.outputs)}
        assert any(names <= group for group in groups)
    assert not any({operations[0].inputs[0].name, operations[-1].outputs[0].name} & group for group in groups)


def test_maps_side_by_side_are_not_padded() -> None:
    net, plain = NetworkBuilder(FeatureMap("image", (6, 6, 3)), 3), Numbers()
    x = net.conv("stem", net.source, 7, Window.same(3), plain)
    a, b = (net.conv(name, x, channels, Window(), plain) for name, channels in (("a", 5), ("b", 11)))
    both = net.concat("both", *(net.table(f"{y.name}.codes", y, plain, scale=0.25) for y in (a, b)))
    net.conv("last", both, 13, Window(), plain)
    operations = [operation for plan in padded(partition(net.build())) for operation in plan.operations]
    wide = {edge.channels for operation in operations for edge in operation.outputs if edge.paddings != (0,)}
    assert wide == {7}


def test_an_edge_without_lanes_of_its_own_takes_those_of_its_padding() -> None:
    edge = Edge("x", 4, 4, 47, 8, False, paddings=(0, 1))
    assert sorted({way.lanes for way in edge.ways}) == [1, 2, 3, 4, 6, 8, 12, 16, 24, 47, 48]
    streams = [edge.stream(way) for way in edge.ways]
    assert {stream.map_channels for stream in streams} == {47}
    assert {stream.groups for stream in streams} == {edge.groups(way) for way in edge.ways}


def test_a_stream_of_nothing_but_padding_is_refused() -> None:
    with pytest.raises(ValueError, match="4 of 4 channels are padding"):
        Stream(name="x", height=1, width=1, channels=4, padding=4, lanes=2, bits=8)


@pytest.mark.parametrize(("width", "resolution", "bits"), [(0.35, 96, 8), (1.0, 224, 4)])
def test_prime_widths_are_nearly_as_fast(
    width: float, resolution: int, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MobileNetV2 with the prime numbers next to its widths; without padding the larger has a fifth of the speed."""
    plain = compile_network(zoo_networks.mobilenet_v2(resolution, width, bits), board="zcu102", sharing="never")
    monkeypatch.setattr(zoo_networks, "rounded", nearest_prime)
    net = zoo_networks.mobilenet_v2(resolution, width, bits)
    assert sum(is_prime(node.output.shape[2]) for node in net.nodes) > 10
    prime = compile_network(net, board="zcu102", sharing="never")
    assert prime.fps >= 0.9 * plain.fps
    assert prime.macs == net.macs()
    assert any(stream.padding for unit in prime.units for stream in unit.streams)
