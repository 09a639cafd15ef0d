"""From a QNet to compute units: which nodes go together, and which operations each unit needs.

First the network is cut wherever a single feature map is alive: between two cuts lies one node, or a residual block
that cannot be taken apart. Then neighbours are joined by the four patterns of the paper:

- Head: the first dense convolution, with the pool, and the depthwise and pointwise convolution that follow it, if they
  do;
- Body: [pointwise] depthwise [squeeze-excite] pointwise, or a residual block whole, or any other
  convolution on its own;
- Tail: [pointwise] global average pool, and pointwise convolutions of its one pixel;
- Classifier: fully connected layers.

Tables (hard-swish and the like) belong to what they follow; those that follow nothing, to what comes next.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from deepdive.compiler.operations import unit_operations
from deepdive.compiler.plan import Edge, UnitPlan
from deepdive.hardware.units import UnitKind
from deepdive.qnet import (
    AvgPool,
    ChannelScale,
    Conv,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Node,
    Pad,
    QNet,
    Table,
)

LETTERS: dict[type, str] = {
    GlobalAvgPool: "g",
    MaxPool: "m",
    AvgPool: "m",
    Flatten: "f",
    Pad: "k",
    Linear: "l",
    Table: "t",
}
PATTERNS: tuple[tuple[UnitKind, re.Pattern[str]], ...] = (
    ("head", re.compile("[tk]*ct*m?t*(?:dt*pt*)?")),
    ("body", re.compile("[tk]*(?:pt*)?k?dt*(?:st*)?pt*")),
    ("tail", re.compile("t*(?:pt*)?gt*(?:pt*)*")),
    ("classifier", re.compile("t*f?t*(?:lt*)+")),
    ("body", re.compile("[tk]*.t*")),
)
"""In the letters of `letter`; the first that matches names the unit. A head stands only at the beginning."""


def partition(net: QNet, *, columns: int = 1) -> tuple[UnitPlan, ...]:
    """Units in order of the data flow; every node of the network is in exactly one.

    With two `columns` the image comes two pixels a beat; see `takes_two_columns`.
    """
    groups = grouped(cut(net))
    counts = Counter(kind for kind, _ in groups)
    seen: Counter[UnitKind] = Counter()
    plans: list[UnitPlan] = []
    height, width, channels = net.input.shape
    edge = Edge("image", height, width // columns, channels * columns, bits=net.input.bits, signed=net.input.signed)
    input_map = net.input.name
    for kind, nodes in groups:
        seen[kind] += 1
        name = f"{kind}{seen[kind]}" if counts[kind] > 1 or kind == "body" else kind
        operations = unit_operations(net, name, nodes, input_map, edge)
        plans.append(UnitPlan(name, kind, input_map, tuple(node.name for node in nodes), operations))
        edge, input_map = operations[-1].outputs[0], nodes[-1].name
    return tuple(plans)


def takes_two_columns(net: QNet) -> bool:
    """Whether the image can come two pixels a beat: its only reader is a filter that moves by two columns at a time.

    Memory holds two neighbouring pixels as one of twice the channels, so nothing has to be moved for that.
    """
    first, width = net.nodes[0], net.input.shape[1]
    if not isinstance(first, Conv) or first.is_depthwise or first.kernel == (1, 1) or first.stride[1] != 2 or width % 2:
        return False
    if sum(net.input.name in node.inputs for node in net.nodes) != 1:
        return False
    # The last filter must reach into the last column, or lie beyond it in padding.
    return (first.output.shape[1] - 1) * 2 + first.kernel[1] - 1 - first.padding[1] >= width - 2


def cut(net: QNet) -> list[tuple[Node, ...]]:
    """The network in pieces between which one feature map is alive: the last one that the piece before wrote."""
    last_read = {name: index for index, node in enumerate(net.nodes) for name in node.inputs}
    pieces: list[tuple[Node, ...]] = []
    start, alive = 0, {net.input.name}
    for index, node in enumerate(net.nodes):
        alive = {name for name in alive if last_read[name] > index} | {node.name}
        if alive == {node.name}:
            pieces.append(net.nodes[start : index + 1])
            start = index + 1
    return pieces


def grouped(pieces: Sequence[tuple[Node, ...]]) -> list[tuple[UnitKind, tuple[Node, ...]]]:
    """Pieces joined to units."""
    letters = "".join(letter(piece) for piece in pieces)
    units: list[tuple[UnitKind, tuple[Node, ...]]] = []
    start = 0
    while start < len(pieces):
        kind, end = next(
            (kind, found.end())
            for kind, pattern in PATTERNS
            if (found := pattern.match(letters, start)) and (kind != "head" or start == 0)
        )
        units.append((kind, tuple(node for piece in pieces[start:end] for node in piece)))
        start = end
    return units


def letter(piece: tuple[Node, ...]) -> str:
    """What a piece is, for the patterns: the LETTERS, c, d, p for Conv, s for squeeze-excite, or x."""
    if len(piece) > 1:
        return "s" if isinstance(piece[-1], ChannelScale) and isinstance(piece[0], GlobalAvgPool) else "x"
    (node,) = piece
    if isinstance(node, Conv):
        return "d" if node.is_depthwise else "p" if node.is_pointwise else "c"
    return LETTERS.get(type(node), "x")
