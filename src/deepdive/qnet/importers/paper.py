"""The paper's published MobileNetV2 (width 0.75, 160x160, 4-bit weights) as an integer network.

As published, three defects of the authors' C++ included, every feature map equals theirs:

1. `DW_MAC.hpp` keeps a depthwise input in a signed char, so 128..255 turn negative: a `Table` in front.
2. `host.cpp` gives body 5 the zero point of body 4's projection (114), though it reads body 4's add (118).
3. `host.cpp` gives body 15's add the zero point of its projection (143), though body 16 reads it as 144.

The last two say that a pointwise layer takes its input for ``x - z`` where ``x - z'`` is meant; since it pads
nothing, that is the same as ``(z' - z) * sum(w)`` in its bias. The two sides of an add are rescaled and floored one by
one, which is a `Table` each.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from deepdive.errors import DeepDiveError
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.graph import QNet
from deepdive.qnet.importers.imported import Imported
from deepdive.qnet.importers.paper_files import PaperFiles, SkipNumbers, find_folder, read_files, read_labels
from deepdive.qnet.importers.paper_layers import RESOLUTION, Block, Layer, paper_layers
from deepdive.qnet.importers.paper_schedule import read_schedule
from deepdive.qnet.ops import Add, Conv, GlobalAvgPool, Linear, Node, Requantize, Rounding, Table
from deepdive.qnet.preprocess import Preprocess

INPUT_STEPS, INPUT_ZERO = 53.5, 114
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
POOL_MULT, POOL_SHIFT = 163, 12  # 1/25, half a percent low
REST_CODES = 15  # of what a ratio above one adds to x itself; it shares an 8-bit sum with the other side
CROP_FROM = 182  # short side of the picture that a repaired network's input is cut from
BODY_WITH_WRONG_INPUT, BODY_WITH_WRONG_ADD = 5, 15

PUBLISHED = (
    "Imported as published: equal to the authors' C++ in every feature map, its three defects included "
    "(--repair mends them).",
    "Photographs are squashed to 160x160 by OpenCV's bilinear resize, as the authors' host program does.",
)
REPAIRED = (
    "Repaired: depthwise inputs of 128 and more are no longer taken for negative numbers.",
    "Repaired: body 5 reads body 4's sum with the zero point it was written with (118, not 114).",
    "Repaired: body 15's sum gets the zero point that body 16 reads it with (144, not 143).",
    "Photographs are no longer squashed: the middle 160x160 is cut from the picture resized to 182 on its short side.",
)


def import_paper(path: str | Path, *, repair: bool = False) -> Imported:
    """The network in the authors' folder `data/` (or a folder that holds it, or one named `parameters/`).

    Parameters
    ----------
    repair
        Mend the three defects, and cut photographs instead of squashing them: another network than the published one.

    Raises
    ------
    DeepDiveError
        Naming the file that is missing or holds something else.
    """
    folder = find_folder(Path(path))
    if folder is None:
        raise DeepDiveError(f"'{path}' does not hold the paper's parameter files (weights_bit_4.npy, ...).")
    net = Builder(read_files(folder), repair, read_labels(folder)).build()
    net = replace(net, schedule=read_schedule(folder, net.nodes))
    return Imported(net, "the paper's published MobileNetV2", REPAIRED if repair else PUBLISHED)


class Builder:
    """Puts the network together, map by map."""

    def __init__(self, files: PaperFiles, repair: bool, labels: tuple[str, ...]) -> None:
        self.files = files
        self.labels = labels
        self.repair = repair
        self.nodes: list[Node] = []
        self.adds = 0

    def build(self) -> QNet:
        layers = paper_layers()
        shape = (RESOLUTION, RESOLUTION, 3)
        source = FeatureMap("input", shape, scale=1 / INPUT_STEPS, zero_point=INPUT_ZERO)
        x = self.conv(layers.head[0], source)
        x = self.conv(layers.head[1], self.depthwise_input(x))
        x = self.conv(layers.head[2], x)
        for body in layers.bodies:
            x = self.body(body, x)
        x = self.pool(self.conv(layers.tail, x), layers.pool)
        self.conv(layers.classifier, x)
        name = "deepdive_mobilenet_v2_repaired" if self.repair else "deepdive_mobilenet_v2"
        return QNet(name, source, tuple(self.nodes), preprocess(self.repair), self.labels)

    def add_node(self, node: Node) -> FeatureMap:
        self.nodes.append(node)
        return node.output

    def body(self, body: Block, x: FeatureMap) -> FeatureMap:
        """Expansion, depthwise, projection and, if the shapes allow it, the skip path."""
        expand, depthwise, project = body.layers
        read_as = None
        if body.number == BODY_WITH_WRONG_INPUT and not self.repair:
            read_as = self.files.zero_point(expand.zero - 2)  # entry of the projection before, not of its add
        if body.number == BODY_WITH_WRONG_ADD + 1:
            read_as = self.files.zero_point(expand.zero - 4)  # entry of the add before
        y = self.conv(expand, x, read_as)
        y = self.conv(depthwise, self.depthwise_input(y))
        y = self.conv(project, y, rounding="half_up")
        if body.add is None:
            return y
        wrong = body.number == BODY_WITH_WRONG_ADD and not self.repair
        zero_point = self.files.zero_point(project.zero if wrong else body.add)
        output = FeatureMap(f"{project.name}_add", x.shape, scale=self.files.scale(body.add), zero_point=zero_point)
        return self.skip_add(output, x, y)

    def depthwise_input(self, x: FeatureMap) -> FeatureMap:
        """What the authors' depthwise unit makes of `x`: the same bits, read as a signed number."""
        if self.repair:
            return x
        wrapped = replace(x, name=f"{x.name}_wrapped", signed=True)
        return self.add_node(Table(x.name, wrapped, np.arange(256).astype(np.uint8).view(np.int8)))

    def conv(self, layer: Layer, x: FeatureMap, read_as: int | None = None, rounding: Rounding = "floor") -> FeatureMap:
        """A layer; `read_as` is the zero point that it takes its input's to be, if that is another."""
        numbers = self.files.layer(layer)
        size = 1 if layer.kind == "linear" else (layer.size - 1) // layer.stride + 1
        output = FeatureMap(
            layer.name,
            (size, size, layer.out_channels),
            scale=self.files.scale(layer.zero),
            zero_point=self.files.zero_point(layer.zero),
        )
        how = Requantize(numbers.mult, numbers.shift, output.q_min, output.q_max, rounding)
        if layer.kind == "linear":
            weight = numbers.weight[:, 0, 0, :]
            return self.add_node(Linear(x.name, output, weight, 4, numbers.bias, how, numbers.weight_zero_point))
        conv = Conv(
            x.name,
            output,
            numbers.weight,
            8 if layer.kind == "first" else 4,
            numbers.bias,
            how,
            numbers.weight_zero_point,
            (layer.stride, layer.stride),
            (layer.kernel // 2,) * 4,
            layer.in_channels if layer.kind == "depthwise" else 1,
        )
        if read_as is not None:
            excess = (x.uniform_zero_point - read_as) * conv.centred_weight.sum(axis=(1, 2, 3), dtype=np.int32)
            conv = replace(conv, bias=numbers.bias + excess)
        return self.add_node(conv)

    def skip_add(self, output: FeatureMap, skip: FeatureMap, block: FeatureMap) -> FeatureMap:
        """Each side rescaled and floored by itself, then the sum."""
        numbers = self.files.skip(self.adds)
        self.adds += 1
        block_part = self.rescale(block, numbers, 1, output)
        if numbers.mult[0] <= 1 << numbers.shift[0]:
            return self.sum(output, self.rescale(skip, numbers, 0, output), block_part)
        # A ratio above one has more than 256 results: x itself, and a table for the rest.
        rest = self.rescale(skip, numbers, 0, output, less=1)
        if numbers.mult[1] * 255 > (255 - REST_CODES) << numbers.shift[1]:
            raise DeepDiveError(f"skiplineparam.npy: '{output.name}' rescales both sides by more than its 8 bits hold.")
        zero_point = rest.uniform_zero_point + block_part.uniform_zero_point
        inner = FeatureMap(f"{output.name}_inner", output.shape, scale=output.scale, zero_point=zero_point)
        return self.sum(output, skip, self.sum(inner, rest, block_part))

    def rescale(self, x: FeatureMap, numbers: SkipNumbers, side: int, output: FeatureMap, less: int = 0) -> FeatureMap:
        """A table of ``((x - z) * mult >> shift) - less * (x - z)``, its zero point such that it fits 8 bits."""
        centred = np.arange(256) - numbers.zero_point[side]
        values = ((centred * numbers.mult[side]) >> numbers.shift[side]) - less * centred
        if values.max() - values.min() > (REST_CODES if less else 255):
            raise DeepDiveError(
                f"skiplineparam.npy: '{output.name}' rescales by {numbers.mult[side]} / 2**{numbers.shift[side]}; "
                "the paper's network has ratios of at most 130/128."
            )
        name = f"{output.name}_{('skip', 'block')[side]}"
        scaled = FeatureMap(name, x.shape, scale=output.scale, zero_point=int(-values.min()))
        return self.add_node(Table(x.name, scaled, (values - values.min()).astype(np.uint8)))

    def sum(self, output: FeatureMap, a: FeatureMap, b: FeatureMap) -> FeatureMap:
        """``a + b`` of maps in the scale of `output`."""
        # Twice the sum, halved: the smallest shift an Add has.
        return self.add_node(Add((a.name, b.name), output, (2, 2), 1, output.q_min, output.q_max, "floor"))

    def pool(self, x: FeatureMap, entry: int) -> FeatureMap:
        """The mean of 25 codes, with the authors' approximation of 1/25."""
        how = Requantize(np.array([POOL_MULT], np.uint16), np.array([POOL_SHIFT], np.uint8), 0, 255, "floor")
        output = FeatureMap("pool", (1, 1, x.shape[2]), scale=self.files.scale(entry))
        return self.add_node(GlobalAvgPool(x.name, output, how))


def preprocess(repair: bool) -> Preprocess:
    """The authors' host program: squash to 160x160, normalise in single precision, quantize."""
    mean, std = (np.array(numbers, np.float32).astype(np.float64)[:, None] for numbers in (MEAN, STD))
    normal = ((np.arange(256) / 255.0 - mean) / std).astype(np.float32)
    steps = normal * np.float32(INPUT_STEPS) + np.float32(INPUT_ZERO)
    codes = np.clip(np.floor(steps.astype(np.float64) + 0.5), 0, 255).astype(int)
    rows = tuple(tuple(int(code) for code in row) for row in codes)
    size = (RESOLUTION, RESOLUTION)
    if repair:
        return Preprocess(size, CROP_FROM, "bilinear", rows)
    return Preprocess(size, None, "bilinear", rows, antialias=False)
