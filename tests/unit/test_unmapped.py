"""An operator of the contract that no compute unit maps yet: the compiler says so, the integer network still runs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from deepdive.compiler.compile import compile as compile_network
from deepdive.errors import UnsupportedLayer
from deepdive.qnet import FeatureMap, QNet, reference
from deepdive.qnet.ops.operator import OneInput
from networks import four_block_network, random_codes


@dataclass(frozen=True, eq=False)
class Mirror(OneInput):
    """The map from right to left, which no hardware here does."""

    def check(self, x: FeatureMap) -> None:
        assert x.shape == self.output.shape


@reference.compute.register
def _(node: Mirror, types: tuple[FeatureMap, ...], codes: tuple[np.ndarray, ...]) -> np.ndarray:
    return codes[0][:, :, ::-1]


def test_the_error_names_the_node_and_the_unit() -> None:
    net = four_block_network()
    first = net.nodes[0].output
    readers = [node for node in net.nodes if first.name in node.inputs]
    assert len(readers) == 1
    mirror = Mirror(first.name, replace(first, name="mirrored"))
    nodes = [replace(node, input="mirrored") if node is readers[0] else node for node in net.nodes]  # type: ignore[call-arg]
    with_mirror = QNet(net.name, net.input, (nodes[0], mirror, *nodes[1:]))  # type: ignore[arg-type]
    with pytest.raises(UnsupportedLayer, match=r"'mirrored' is Mirror, for which compute unit '(head|body)\d*' has no"):
        compile_network(with_mirror, board="zcu102")
    codes = random_codes(net, 2)
    maps = with_mirror.run(codes, every=True)
    assert isinstance(maps, dict)
    assert np.array_equal(maps["mirrored"], maps[first.name][:, :, ::-1])
    assert maps[with_mirror.output.name].shape == (2, *net.output.shape)
