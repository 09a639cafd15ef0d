"""Whole networks, always the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from deepdive.qnet import FeatureMap, Preprocess, QNet
from network_builder import NetworkBuilder, Numbers, Window

PLAIN = Numbers()
"""Unsigned 8-bit codes from 8-bit weights."""


@dataclass(frozen=True)
class Block:
    """An inverted residual block; the residual add is there when stride is 1 and the channel counts agree.

    Parameters
    ----------
    squeeze
        Channels between squeeze and excite; 0 for a block without.
    tables
        Whether a Table stands behind expansion, depthwise and both layers of squeeze-excite.
    """

    channels: int
    expand: int = 4
    kernel: int = 3
    stride: int = 1
    squeeze: int = 0
    tables: bool = False


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
    activations: Numbers = PLAIN

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
            act = builder.table if block.tables else lambda _name, codes, _numbers: codes
            if block.expand > 1:
                x = builder.conv(f"{name}.expand", x, block.expand * x.shape[2], Window(), relu)
                x = act(f"{name}.expand.act", x, relu)
            x = builder.depthwise(f"{name}.depthwise", x, Window.same(block.kernel, block.stride), relu)
            x = act(f"{name}.depthwise.act", x, relu)
            if block.squeeze:
                factors = builder.global_avg_pool(f"{name}.pool", x, relu)
                factors = builder.conv(f"{name}.squeeze", factors, block.squeeze, Window(), middle)
                factors = act(f"{name}.squeeze.act", factors, relu)
                factors = builder.linear(f"{name}.excite", factors, x.shape[2], middle)
                factors = act(f"{name}.excite.act", factors, relu)
                x = builder.channel_scale(f"{name}.scale", x, factors, relu)
            x = builder.conv(f"{name}.project", x, block.channels, Window(), middle)
            if x.shape == skip.shape:
                x = builder.add(f"{name}.add", skip, x, middle)
        x = builder.conv("tail.conv", x, self.features, Window(), relu)
        x = builder.global_avg_pool("tail.pool", x, relu)
        builder.linear("classifier", x, self.classes, middle)
        return builder.build(**more)


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
