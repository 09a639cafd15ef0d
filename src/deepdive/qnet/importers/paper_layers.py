"""The layers of the paper's MobileNetV2 in the order of its parameter files: width 0.75, 160x160 pixels, 1000 classes.

Names are those of the authors' maps; the numbers of a layer's entries in the files follow from its place alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["first", "depthwise", "pointwise", "linear"]
RESOLUTION, CLASSES = 160, 1000
TAIL_CHANNELS = 1280
# (output channels, stride) of the paper's body 1..16; each widens its input sixfold.
BODIES = (
    *((24, 2), (24, 1)),
    *((24, 2), (24, 1), (24, 1)),
    *((48, 2), (48, 1), (48, 1), (48, 1)),
    *((72, 1), (72, 1), (72, 1)),
    *((120, 2), (120, 1), (120, 1)),
    (240, 1),
)
EXPANSION = 6


@dataclass(frozen=True)
class Layer:
    """A convolution or the classifier.

    Parameters
    ----------
    size
        Height and width of the input.
    channel
        Where its output channels start in the arrays that hold one number an output channel.
    weight
        Where its weights start in their file, in bytes.
    index
        Which layer this is: its entry of the bias zero points.
    zero
        Its entry of the output zero points and scales.
    """

    name: str
    kind: Kind
    in_channels: int
    out_channels: int
    size: int
    stride: int
    channel: int
    weight: int
    index: int
    zero: int

    @property
    def kernel(self) -> int:
        return 3 if self.kind in ("first", "depthwise") else 1

    @property
    def weight_bytes(self) -> int:
        """Bytes its weights take: 8-bit ones, or two 4-bit ones a byte, nine and one of padding a depthwise channel."""
        if self.kind == "first":
            return self.out_channels * self.in_channels * 9
        return self.out_channels * (10 if self.kind == "depthwise" else self.in_channels) // 2


@dataclass(frozen=True)
class Block:
    """A body: expansion, depthwise, projection; `add` is the residual add's entry of the zero points, if it has one."""

    number: int
    layers: tuple[Layer, Layer, Layer]
    add: int | None


@dataclass(frozen=True)
class Layers:
    """The whole network in order; the pool between tail and classifier is entry `pool` of the zero points."""

    head: tuple[Layer, Layer, Layer]
    bodies: tuple[Block, ...]
    tail: Layer
    pool: int
    classifier: Layer

    def __iter__(self) -> Iterator[Layer]:
        yield from self.head
        for body in self.bodies:
            yield from body.layers
        yield self.tail
        yield self.classifier


class Counter:
    """Gives each layer its place in the files."""

    def __init__(self) -> None:
        self.channel = self.weight = self.index = self.zero = 0

    def layer(self, name: str, kind: Kind, channels: tuple[int, int], size: int, stride: int = 1) -> Layer:
        # The first layer and the classifier have weight files of their own.
        alone = kind in ("first", "linear")
        weight = 0 if alone else self.weight
        layer = Layer(name, kind, *channels, size, stride, self.channel, weight, self.index, self.zero)
        self.channel += layer.out_channels
        self.weight += 0 if alone else layer.weight_bytes
        self.index += 1
        self.zero += 1
        return layer

    def entry(self) -> int:
        """A zero point's entry of its own, for what is no layer."""
        self.zero += 1
        return self.zero - 1


def paper_layers() -> Layers:
    """Every layer with its place in the files."""
    count = Counter()
    channels, size = 16, RESOLUTION // 2
    head = (
        count.layer("head_conv", "first", (3, 24), RESOLUTION, 2),
        count.layer("head_dw", "depthwise", (24, 24), size),
        count.layer("head", "pointwise", (24, channels), size),
    )
    bodies = []
    for number, (out_channels, stride) in enumerate(BODIES, start=1):
        add = count.entry() if stride == 1 and out_channels == channels else None
        wide, name = channels * EXPANSION, f"body{number}"
        expand = count.layer(f"{name}_exp", "pointwise", (channels, wide), size)
        depthwise = count.layer(f"{name}_dw", "depthwise", (wide, wide), size, stride)
        size //= stride
        bodies.append(
            Block(number, (expand, depthwise, count.layer(name, "pointwise", (wide, out_channels), size)), add)
        )
        channels = out_channels
    tail = count.layer("tail_map", "pointwise", (channels, TAIL_CHANNELS), size)
    pool = count.entry()
    return Layers(head, tuple(bodies), tail, pool, count.layer("logits", "linear", (TAIL_CHANNELS, CLASSES), 1))
