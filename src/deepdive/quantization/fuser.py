"""The walk over a traced graph: what each node stands for, and what a layer may absorb."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx

from deepdive.errors import UnsupportedLayer
from deepdive.quantization.plan import (
    INPUT,
    AddLayer,
    AvgPoolLayer,
    Clip,
    ConvLayer,
    Layer,
    PadLayer,
    Plan,
    PoolLayer,
    ScaleLayer,
    Shape,
    TableLayer,
)
from deepdive.quantization.trace import attribute

MAPPED = (
    "Conv2d, Linear, BatchNorm, ZeroPad2d, add, ReLU, ReLU6, Hardtanh, Hardswish, SiLU, Hardsigmoid, Sigmoid, "
    "average and max pooling, channel concatenation, squeeze-excite, flatten and Dropout"
)


Rule = Callable[["Fuser", fx.Node], None]


@dataclass(frozen=True)
class Value:
    """What one node of the graph stands for: the output of a layer, perhaps with a frame around it not yet spent.

    The frame is of zeros, or (`fill`) of minus infinity for a max pool.
    """

    layer: str
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    fill: float = 0.0
    averaged: tuple[int, ...] = ()  # spatial axes already averaged, for mean(3).mean(2)


class Fuser:
    """Walks the graph once; the rules call the methods below."""

    def __init__(self, traced: fx.GraphModule, input_shape: Shape) -> None:
        self.traced = traced
        self.input_shape = input_shape
        self.layers: dict[str, Layer] = {}
        self.values: dict[fx.Node, Value] = {}
        self.called: set[str] = set()

    # What rules ask.

    def module(self, node: fx.Node) -> Any:
        """The leaf module that a call_module node calls."""
        return self.traced.get_submodule(str(node.target))

    def value(self, node: fx.Node, argument: Any) -> Value:
        """What an argument of `node` stands for; refuses numbers. Zeros around it become a layer of their own."""
        if not isinstance(argument, fx.Node) or argument not in self.values:
            raise self.refuse(node, "combines the feature map with a tensor that is not one; use feature maps alone")
        value = self.values[argument]
        if any(value.padding):
            if value.fill != 0:
                raise self.refuse(node, f"reads a map padded with {value.fill}; only a max pool can")
            value = self.values[argument] = Value(self.frame(argument, value))
        if value.averaged:
            raise self.refuse(node, "reads a mean over one axis; average over height and width together")
        return value

    def is_map(self, argument: Any) -> bool:
        """Whether an argument is a feature map."""
        return isinstance(argument, fx.Node) and argument in self.values

    def constant(self, argument: Any) -> Any:
        """A parameter, buffer or number that an argument stands for."""
        if isinstance(argument, fx.Node) and argument.op == "get_attr":
            return attribute(self.traced, str(argument.target))
        return argument

    def shape(self, name: str) -> Shape:
        """(C, H, W) of a layer's output."""
        return self.input_shape if name == INPUT else self.layers[name].shape

    def output_shape(self, node: fx.Node) -> Shape:
        """(C, H, W) that `node` writes; a vector is (C, 1, 1)."""
        shape = node.meta["shape"]
        if shape is None or len(shape) not in (2, 4):
            raise self.refuse(node, f"writes a tensor of shape {shape}; feature maps are (N, C, H, W) or (N, C)")
        return (shape[1], 1, 1) if len(shape) == 2 else (shape[1], shape[2], shape[3])

    def sole_layer(self, argument: Any) -> Layer | None:
        """The layer that wrote `argument`, if nobody else reads it, so that what follows may join it."""
        name = self.values[argument].layer
        while self.is_map(argument) and self.values[argument].layer == name:
            if len(argument.users) != 1 or not argument.args:
                return None
            argument = argument.args[0]  # on to what this node is an alias of
        return self.layers.get(name)

    def where(self, node: fx.Node) -> str:
        """Dotted name of the module in which `node` was recorded."""
        return str(node.meta.get("owner") or "")

    def refuse(self, node: fx.Node, reason: str) -> UnsupportedLayer:
        """The error for a node: dotted name, type, reason."""
        kind = type(self.module(node)).__name__ if node.op == "call_module" else operation(node)
        return UnsupportedLayer(f"'{self.where(node) or type(self.traced).__name__}' is {kind}, which {reason}.")

    # What rules do.

    def name(self, node: fx.Node, suffix: str = "") -> str:
        """A new unique name: the dotted module name, with `suffix` for operations that are no module."""
        base = ".".join(part for part in (self.where(node), suffix) if part) or operation(node)
        name, count = base, 1
        while name in self.layers or name == INPUT:
            count += 1
            name = f"{base}_{count}"
        return name

    def add(self, node: fx.Node, layer: Layer) -> None:
        """Append a layer that computes `node`."""
        self.layers[layer.name] = layer
        self.values[node] = Value(layer.name)

    def frame(self, node: fx.Node, value: Value) -> str:
        """Append a layer for the zeros that `node` put around a map; its name."""
        channels, height, width = self.shape(value.layer)
        top, left, bottom, right = value.padding
        shape = (channels, height + top + bottom, width + left + right)
        layer = PadLayer(
            self.name(node, "" if node.op == "call_module" else "pad"), [value.layer], shape, value.padding
        )
        self.layers[layer.name] = layer
        return layer.name

    def alias(self, node: fx.Node, value: Value) -> None:
        """`node` changes nothing."""
        self.values[node] = value

    def clip(self, node: fx.Node, argument: Any, clip: Clip) -> None:
        """Join a clip to the layer before it, or make it a table where that layer is read by others too."""
        value = self.value(node, argument)
        layer = self.sole_layer(argument)
        if isinstance(layer, ConvLayer | AddLayer | PoolLayer | AvgPoolLayer | ScaleLayer):
            before = layer.clip or Clip(float("-inf"), float("inf"))
            layer.clip = Clip(min(max(before.low, clip.low), clip.high), max(min(before.high, clip.high), clip.low))
            self.alias(node, value)
        else:
            self.table(node, value, clip, "clip")

    def table(self, node: fx.Node, value: Value, function: Callable[[Tensor], Tensor], suffix: str = "") -> None:
        """Append a function of one value; a table of a table becomes one."""
        layer = self.layers.get(value.layer)
        name = self.name(node, "" if node.op == "call_module" else suffix)
        if isinstance(layer, TableLayer):
            before = layer.function
            self.add(node, TableLayer(name, layer.inputs, layer.shape, lambda x: function(before(x))))
        else:
            self.add(node, TableLayer(name, [value.layer], self.shape(value.layer), function))

    def run(self, find_rule: Callable[[Fuser, fx.Node], Rule | None]) -> Plan:
        """The plan, without the layers that nobody reads."""
        for node in self.traced.graph.nodes:
            if node.op == "placeholder":
                if self.values:
                    raise UnsupportedLayer(
                        f"{type(self.traced).__name__}.forward takes a second input '{node.target}'; "
                        "wrap the model so that it takes one image tensor."
                    )
                self.values[node] = Value(INPUT)
            elif node.op == "output":
                return self.finish(node)
            elif node.op != "get_attr":
                if node.op == "call_module":
                    self.refuse_second_call(node)
                rule = find_rule(self, node)
                if rule is None:
                    raise self.refuse(node, f"has no integer form; DeepDive maps {MAPPED}")
                rule(self, node)
        raise AssertionError("a torch.fx graph ends with an output node")

    def refuse_second_call(self, node: fx.Node) -> None:
        """A layer with weights that is called twice would need one integer form for two scales."""
        target = str(node.target)
        if target in self.called and any(True for _ in self.module(node).parameters()):
            raise self.refuse(node, "is called twice; give each place a layer of its own")
        self.called.add(target)

    def finish(self, node: fx.Node) -> Plan:
        """Check the graph's one output and drop unread layers."""
        result = node.args[0]
        if isinstance(result, tuple | list | dict) or not self.is_map(result):
            raise UnsupportedLayer(
                f"{type(self.traced).__name__}.forward returns {type(result).__name__}; "
                "wrap the model so that it returns one tensor."
            )
        last = self.value(node, result).layer
        if last == INPUT:
            raise UnsupportedLayer(
                f"{type(self.traced).__name__}.forward computes nothing; give it at least one layer."
            )
        wanted = {last}
        for layer in reversed(self.layers.values()):
            if layer.name in wanted:
                wanted.update(layer.inputs)
        kept = [layer for layer in self.layers.values() if layer.name in wanted]
        return Plan(self.input_shape, tuple(kept))


def operation(node: fx.Node) -> str:
    """The name of the function or method that a node calls."""
    return str(node.target if node.op == "call_method" else getattr(node.target, "__name__", node.target))


def pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    """`3` or `(3,)` as `(3, 3)`."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return (values[0], values[-1])


def argument(node: fx.Node, index: int, name: str, default: Any = None) -> Any:
    """An argument given by place or by name."""
    return node.args[index] if len(node.args) > index else node.kwargs.get(name, default)
