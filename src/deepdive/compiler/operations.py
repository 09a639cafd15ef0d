"""The operations of one unit: a window before every filter, a fork wherever a feature map is read twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import singledispatch

from deepdive.compiler.plan import DENSE, Edge, Operation, renamed
from deepdive.errors import UnsupportedLayer
from deepdive.hardware.stages import PixelPair, Requantizer
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

HURRY, GREAT_HURRY = 8, 32
"""How many times faster than the frame interval each layer between squeeze and excite must be. The map waits in block
RAM for the time that they take, and their few multiplications cost less than that."""
LIGHT = 8
"""A layer of so many times fewer multiplications than the map has codes is in a great hurry: it takes a DSP or two."""


def unit_operations(net: QNet, unit: str, nodes: Sequence[Node], input_map: str, source: Edge) -> tuple[Operation, ...]:
    """Operations that compute `nodes`, in order of the data flow.

    Parameters
    ----------
    unit
        Name of the unit, the first part of every name in it.
    input_map, source
        The feature map that the unit reads, and the edge that brings it.
    """
    reads = Counter(name for node in nodes for name in node.inputs)
    namer = Namer(unit)
    ready: dict[str, list[Edge]] = {}
    operations: list[Operation] = []
    operations += forked(namer, source, reads[input_map], ready.setdefault(input_map, []))
    for node in nodes:
        made = list(
            node_operations(node, namer, net.inputs_of(node), tuple(ready[name].pop(0) for name in node.inputs))
        )
        operations += made
        operations += forked(namer, made[-1].outputs[0], reads[node.name], ready.setdefault(node.name, []))
    return tuple(hurried(operations))


def hurried(operations: Sequence[Operation]) -> Iterator[Operation]:
    """The operations, those in a hurry that make factors out of a map while it waits for them."""
    waiting: dict[str, int] = {}  # edge -> codes of the map that waits for it
    last: list[Operation] = []
    for operation in reversed(operations):
        source, target = operation.inputs[0], operation.outputs[0]
        if operation.kind == "channel_scale":
            waiting[operation.inputs[1].name] = source.height * source.width * source.channels
        elif operation.kind in (*DENSE, "table") and target.name in waiting and is_vector(operation):
            codes = waiting[source.name] = waiting[target.name]
            more = {"drains": True} if operation.kind in DENSE else {}
            hurry = GREAT_HURRY if LIGHT * source.channels * target.channels <= codes else HURRY
            operation = replace(operation, hurry=hurry, fields={**operation.fields, **more})
        last.append(operation)
    return reversed(last)


def is_vector(operation: Operation) -> bool:
    """Whether a frame of what it reads is a single pixel."""
    edge = operation.inputs[0]
    return edge.height == edge.width == 1


class Namer:
    """Names for the stages of a unit: unit and kind, and a number from the second of a kind on."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.counts: Counter[str] = Counter()

    def __call__(self, kind: str) -> str:
        self.counts[kind] += 1
        number = str(self.counts[kind]) if self.counts[kind] > 1 else ""
        return f"{self.unit}_{kind}{number}"


def forked(namer: Namer, edge: Edge, readers: int, ready: list[Edge]) -> Iterator[Operation]:
    """Forks that give `edge` to all its readers; fills `ready` with one edge a reader, in their order.

    The first output goes to the next reader, the second, which waits, to those that come later.
    """
    for _ in range(readers - 1):
        name = namer("fork")
        now, later = renamed(edge, f"{name}_main"), renamed(edge, f"{name}_skip")
        yield Operation("fork", name, (edge,), (now, later))
        ready.append(now)
        edge = later
    ready.append(edge)


@singledispatch
def node_operations(
    node: Node, namer: Namer, types: tuple[FeatureMap, ...], edges: tuple[Edge, ...]
) -> Iterator[Operation]:
    """The operations that compute one node.

    Raises
    ------
    UnsupportedLayer
        When the units have no stage for it, naming node and unit.
    """
    unit = namer("").rstrip("_")
    raise UnsupportedLayer(
        f"'{node.name}' is {type(node).__name__}, for which compute unit '{unit}' has no stage; the integer network "
        "still runs in the reference, but not on a board. Use other operators there."
    )


@node_operations.register
def _(node: Conv, namer: Namer, types: tuple[FeatureMap, ...], edges: tuple[Edge, ...]) -> Iterator[Operation]:
    (edge,) = edges
    kind = "depthwise" if node.is_depthwise else "pointwise" if node.kernel == (1, 1) else "conv"
    for window in windows(node, namer, edge, types[0].zero_points, columns=types[0].shape[1] // edge.width):
        edge = window.outputs[0]
        if kind == "depthwise" and edge.width % 2 == 0:
            edge = replace(edge, pixel_pair=PixelPair(kernel=node.kernel, step=node.stride[1]))
        yield replace(window, outputs=(edge,))
    fields: dict[str, object] = {
        "node": node.name,
        "weight_bits": stored_bits(node),
        "requantizer": requantizer(node.requantize, node.acc_range(types[0])),
    }
    if kind != "depthwise":
        fields["conv_groups"] = node.groups
    name = namer(kind)
    yield Operation(kind, name, (edge,), (output_edge(name, node.output),), fields)


def windows(
    node: Conv | MaxPool | AvgPool, namer: Namer, edge: Edge, fill: tuple[int, ...], *, columns: int = 1
) -> Iterator[Operation]:
    """The window in front of a filter or pool, unless each pixel is one.

    `fill` is what the padding holds; `columns` of the map come as one pixel of the edge.
    """
    if node.kernel == (1, 1) and node.stride == (1, 1):
        return
    name, (height, width, _) = namer("window"), node.output.shape
    taps = node.kernel[0] * node.kernel[1]
    target = Edge(f"{name}_out", height, width, edge.channels // columns, edge.bits, edge.signed, taps)
    fields: dict[str, object] = {
        "kernel": node.kernel,
        "stride": node.stride,
        "padding": node.padding,
        "zero_point": fill[:1] if len(set(fill)) == 1 else fill,
        **({"columns": columns} if columns > 1 else {}),
    }
    yield Operation("window", name, (edge,), (target,), fields)


@node_operations.register
def _(node: MaxPool, namer: Namer, types: tuple[FeatureMap, ...], edges: tuple[Edge, ...]) -> Iterator[Operation]:
    (edge,) = edges
    for window in windows(node, namer, edge, (types[0].q_min,)):
        yield window
        edge = window.outputs[0]
    name = namer("max")
    yield Operation("max_pool", name, (edge,), (output_edge(name, node.output),), {"node": node.name})


@node_operations.register
def _(node: AvgPool, namer: Namer, types: tuple[FeatureMap, ...], edges: tuple[Edge, ...]) -> Iterator[Operation]:
    (edge,) = edges
    for window in windows(node, namer, edge, types[0].zero_points):
        yield window
        edge = window.outputs[0]
    name = namer("mean")
    fields = {"node": node.name, "requantizer": requantizer(node.requantize, node.acc_range(types[0]))}
    yield Operation("avg_pool", name, (edge,), (output_edge(name, node.output),), fields)


@node_operations.register
def _(node: Pad, namer: Namer, types: tuple[FeatureMap, ...], edges: tuple[Edge, ...]) -> Iterator[Operation]:
    name = namer("pad")
    fields = {"node": node.name, "padding": node.padding, "zero_point": types[0].uniform_zero_point}
    yield Operation("pad", name, edges, (output_edge(name, node.output),), fields)


@node_operations.register
def _(node: Flatten, namer: Namer, types: tuple[FeatureMap, ...], edges: tuple[Edge, ...]) -> Iterator[Operation]:
    name = namer("flatten")
    yield Operation("flatten", name, edges, (output_edge(name, node.output),), {"node": node.name})


@node_operations.register
def _(node: Linear, namer: Namer, types: tuple[FeatureMap, ...], edges: tuple[Edge, ...]) -> Iterator[Operation]:
    name = namer("linear")
    fields = {
        "node": node.name,
        "weight_bits": stored_bits(node),
        "requantizer": requantizer(node.requantize, node.acc_range(types[0])),
    }
    yield Operation("linear", name, edges, (output_edge(name, node.output),), fields)


@node_operations.register
def _(node: GlobalAvgPool, namer: Namer, types: tuple[FeatureMap, ...], edges: tuple[Edge, ...]) -> Iterator[Operation]:
    name = namer("pool")
    fields = {"node": node.name, "requantizer": requantizer(node.requantize, node.acc_range(types[0]))}
    yield Operation("global_avg_pool", name, edges, (output_edge(name, node.output),), fields)


@node_operations.register
def _(node: Add, namer: Namer, types: tuple[FeatureMap, ...], edges: tuple[Edge, ...]) -> Iterator[Operation]:
    name = namer("add")
    yield Operation("add", name, edges, (output_edge(name, node.output),), {"node": node.name})


@node_operations.register
def _(node: Concat, namer: Namer, types: tuple[FeatureMap, ...], edges: tuple[Edge, ...]) -> Iterator[Operation]:
    name = namer("concat")
    yield Operation("concat", name, edges, (output_edge(name, node.output),), {"node": node.name})


@node_operations.register
def _(node: ChannelScale, namer: Namer, types: tuple[FeatureMap, ...], edges: tuple[Edge, ...]) -> Iterator[Operation]:
    name = namer("scale")
    x, factors = types
    ends = [
        (code - int(x_zero)) * (factor - int(factor_zero))
        for code in (x.q_min, x.q_max)
        for factor in (factors.q_min, factors.q_max)
        for x_zero in (x.zero_point_array.min(), x.zero_point_array.max())
        for factor_zero in (factors.zero_point_array.min(), factors.zero_point_array.max())
    ]
    fields = {"node": node.name, "requantizer": requantizer(node.requantize, (min(ends), max(ends)))}
    yield Operation("channel_scale", name, edges, (output_edge(name, node.output),), fields)


@node_operations.register
def _(node: Table, namer: Namer, types: tuple[FeatureMap, ...], edges: tuple[Edge, ...]) -> Iterator[Operation]:
    name = namer("table")
    yield Operation("table", name, edges, (output_edge(name, node.output),), {"node": node.name})


def stored_bits(node: Conv | Linear) -> int:
    """Bits of the weights as hardware holds them: less their zero point, so wider than the codes where it is not 0.

    At least those of the codes: narrow weights of a wide format keep their width, whatever values they have.
    """
    weight = (node.as_conv() if isinstance(node, Linear) else node).centred_weight
    low, high = int(weight.min()), int(weight.max())
    return max(node.weight_bits, 1 + max(high, ~low, 0).bit_length())


def output_edge(stage: str, output: FeatureMap) -> Edge:
    """The edge that carries a node's output."""
    return Edge(f"{stage}_out", *output.shape, bits=output.bits, signed=output.signed)


def requantizer(how: Requantize, acc_range: tuple[int, int]) -> Requantizer:
    """What hardware must know of a requantization; the accumulator as narrow as the proven range allows."""
    low, high = acc_range
    same = len(set(how.mult.tolist())) == 1 and len(set(how.shift.tolist())) == 1
    return Requantizer(
        acc_bits=max((-low - 1).bit_length() if low < 0 else 0, max(high, 0).bit_length(), 1) + 1,
        mult_bits=max(int(how.mult.max()).bit_length(), 1),
        per_channel=not same,
        rounding=how.rounding,
    )
