"""A PyTorch module that computes what an ONNX graph computes, built step by step."""

from __future__ import annotations

import keyword
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepdive.errors import DeepDiveError, UnsupportedLayer
from deepdive.qnet.importers.context import Context
from deepdive.qnet.importers.onnx_source import SourceNode
from deepdive.qnet.importers.values import Const, Dims, Raw, Value

RESERVED = ("training", "source", "result", "steps")
"""What `OnnxModule` and its instances have of their own."""
MAX_MAP = 1 << 24
MAX_MACS = 1 << 37
"""Values of one map, and multiply-accumulates of one picture: far beyond any network for a board."""


@dataclass(frozen=True)
class Step:
    """A submodule by name, the tensors it reads, and the one it writes."""

    module: str
    inputs: tuple[str, ...]
    output: str


class Function(nn.Module):
    """A function of tensors as a submodule, so that what it computes carries its node's name."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


class OnnxModule(nn.Module):
    """The steps of a graph, one after the other; (N, C, H, W) in. `torch.fx` traces it like any other module."""

    def __init__(self, source: str, result: str, steps: tuple[Step, ...], modules: dict[str, nn.Module]) -> None:
        super().__init__()
        self.source, self.result, self.steps = source, result, steps
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: Tensor) -> Tensor:
        values = {self.source: x}
        for step in self.steps:
            values[step.output] = self.get_submodule(step.module)(*(values[name] for name in step.inputs))
        return values[self.result]


class Builder:
    """Collects steps; handlers of operators call the methods below.

    Attributes
    ----------
    values
        By tensor: known numbers, or `Raw` with the dimensions of a map.
    readers
        How many nodes read a tensor; the graph's output counts as one more.
    gain, offset
        What the graph does to its input before anything else, one number a channel: ``gain * x + offset``.
    """

    def __init__(self, context: Context, values: dict[str, Value], readers: dict[str, int]) -> None:
        self.context = context
        self.values = values
        self.readers = readers
        self.aliases: dict[str, str] = {}
        self.steps: list[Step] = []
        self.modules: dict[str, nn.Module] = {}
        self.writers: dict[str, nn.Module] = {}
        self.named: Counter[str] = Counter()
        self.macs = 0
        self.input = ""
        self.gain, self.offset = np.ones(1), np.zeros(1)

    # What handlers ask.

    def arguments(self, node: SourceNode) -> list[Value | None]:
        """What a node reads."""
        return [self.values[name] if name else None for name in node.inputs]

    def map(self, node: SourceNode, index: int = 0) -> Dims:
        """Dimensions of the map that is input number `index`."""
        value = self.context.value(self.arguments(node), index)
        if not isinstance(value, Raw):
            raise UnsupportedLayer(f"its input {index} is a constant, not a feature map")
        return value.dims

    def spatial(self, node: SourceNode) -> tuple[int, int, int]:
        """(channels, height, width) of the map that a node reads."""
        dims = self.map(node)
        if len(dims) != 3:
            raise DeepDiveError(f"it wants a map (channels, height, width), not {dims}")
        return dims[0], dims[1], dims[2]

    def const(self, node: SourceNode, index: int, what: str) -> np.ndarray:
        """Known finite numbers, float64 or integers."""
        found = self.context.const(self.arguments(node), index, what).values
        if found.dtype.kind == "f" and not (np.abs(found) <= np.finfo(np.float32).max).all():
            raise DeepDiveError(f"its {what} holds numbers that are not finite")
        return found

    def has(self, node: SourceNode, index: int) -> bool:
        """Whether input number `index` is there."""
        return index < len(node.inputs) and bool(node.inputs[index])

    def maps(self, node: SourceNode) -> tuple[str, ...]:
        """The tensors among a node's inputs that are maps."""
        return tuple(self.tensor(name) for name in node.inputs if name and isinstance(self.values[name], Raw))

    def tensor(self, name: str) -> str:
        """The tensor that `name` is another name of."""
        return self.aliases.get(name, name)

    def sole_writer(self, name: str) -> nn.Module | None:
        """The layer with weights that wrote a tensor, if only one node reads it."""
        return self.writers.get(self.tensor(name)) if self.readers.get(name, 0) == 1 else None

    # What handlers do.

    def alias(self, node: SourceNode, dims: Dims | None = None) -> None:
        """The node changes nothing, or (`dims`) what its tensor is called alone."""
        read, written = node.inputs[0], node.outputs[0]
        self.aliases[written] = self.tensor(read)
        if self.readers.get(read, 0) != 1:
            # Somebody else reads the same tensor: what follows must not change its layer.
            self.readers[written] = 2
        self.values[written] = Raw(dims or self.map(node))

    def call(self, node: SourceNode, module: nn.Module | Callable[..., Tensor], dims: Dims, macs: int = 0) -> None:
        """The node's output is `module` of all the maps that it reads."""
        self.check(dims, macs)
        self.step(node, module, self.maps(node), node.outputs[0])
        self.values[node.outputs[0]] = Raw(dims)

    def check(self, dims: Dims, macs: int) -> None:
        """Refuse maps and networks that no board would run, before memory or time is spent on them."""
        if math.prod(dims) > MAX_MAP:
            raise DeepDiveError(f"its output {dims} is too large; at most {MAX_MAP} values")
        self.macs += macs + math.prod(dims)
        if self.macs > MAX_MACS:
            raise DeepDiveError(f"with it the network has more than {MAX_MACS} multiply-accumulates; no board runs it")

    def step(
        self, node: SourceNode, module: nn.Module | Callable[..., Tensor], inputs: tuple[str, ...], output: str
    ) -> None:
        """Append a step."""
        name = self.name(node, "" if output == node.outputs[0] else "_pad")
        if not isinstance(module, nn.Module):
            module = Function(module)
        elif isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d | nn.BatchNorm1d):
            self.writers[output] = module
        self.modules[name] = module
        self.steps.append(Step(name, inputs, output))

    def name(self, node: SourceNode, suffix: str) -> str:
        """A unique name for a submodule: of the weight as PyTorch exported it, else of what the node writes."""
        weight = node.inputs[1] if len(node.inputs) > 1 else ""
        text = weight.removesuffix(".weight") if weight.endswith(".weight") else node.outputs[0]
        base = re.sub(r"\W+", "_", text.removesuffix("_output_0"), flags=re.ASCII).strip("_")[:80] or "node"
        base += suffix
        if hasattr(OnnxModule, base) or base in RESERVED or keyword.iskeyword(base):
            base += "_layer"
        self.named[base] += 1
        name = base if self.named[base] == 1 else f"{base}_{self.named[base]}"
        return name if name not in self.modules else self.name(node, suffix)


Handler = Callable[[Builder, SourceNode], None]
HANDLERS: dict[str, Handler] = {}
"""By operator of the standard domain."""


def handler(*op_types: str) -> Callable[[Handler], Handler]:
    """Register a function for operators."""

    def register(function: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(op_types, function))
        return function

    return register


def parameter(values: np.ndarray, *shape: int) -> nn.Parameter:
    """Numbers as a float32 parameter."""
    return nn.Parameter(torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32).reshape(shape or values.shape)))


def scalar(values: np.ndarray) -> float | None:
    """The one number in an array, or None."""
    return float(values.reshape(-1)[0]) if values.size == 1 else None


def known(builder: Builder, node: SourceNode) -> bool:
    """Whether all that a node reads is known: it computes a shape or folds constants."""
    return all(value is None or isinstance(value, Const) for value in builder.arguments(node))


def unary(builder: Builder, node: SourceNode, function: Callable[[Any], Tensor]) -> None:
    """A function of one map, value by value."""
    builder.call(node, function, builder.map(node))
