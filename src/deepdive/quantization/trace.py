"""From an `nn.Module` to a `torch.fx` graph whose every node knows its shape."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn

from deepdive.errors import DeepDiveError, UnsupportedLayer

TRACED_BATCH = 2  # one image could be mistaken for one channel
REMOVED_CLASSES = ("StochasticDepth", "DropPath")


class ShapeProxy(fx.Proxy):
    """A proxy that answers with plain numbers when the network asks for a shape.

    So ``if x.shape[2] % 2`` and "same" padding computed in `forward` are traced for the input size at hand.
    """

    @property
    def shape(self) -> torch.Size:
        return self.node.meta["value"].shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> torch.dtype:
        return self.node.meta["value"].dtype

    @property
    def device(self) -> torch.device:
        return self.node.meta["value"].device

    @property
    def requires_grad(self) -> bool:
        return False

    def size(self, dim: int | None = None) -> torch.Size | int:
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        return self.ndim

    def numel(self) -> int:
        return self.shape.numel()

    def __len__(self) -> int:
        return self.shape[0]


class ShapeTracer(fx.Tracer):
    """Executes every node on an example while it records it.

    `node.meta` gets `value` and `owner` (the dotted name of the module that was running).
    """

    def __init__(self, example: Tensor) -> None:
        super().__init__()
        self.example = example
        self.executing = False

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m).__name__ in REMOVED_CLASSES or super().is_leaf_module(m, module_qualified_name)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return ShapeProxy(node, self)

    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *rest: Any, **options: Any) -> Any:
        proxy = super().create_proxy(kind, target, args, kwargs, *rest, **options)
        node = proxy.node
        node.meta["owner"] = self.scope.module_path
        value = node.meta["value"] = self.execute(node)
        if kind in ("call_function", "call_method") and not contains_tensor(value):
            return value  # a number or a shape: plain Python from here on
        return proxy

    def execute(self, node: fx.Node) -> Any:
        """The value of one node from the values of its arguments."""
        args = fx.node.map_arg(node.args, self.value)
        kwargs = fx.node.map_arg(node.kwargs, self.value)
        with torch.no_grad(), self.untraced():
            match node.op:
                case "placeholder":
                    return self.example
                case "get_attr":
                    return attribute(self.root, str(node.target))
                case "call_module":
                    return self.root.get_submodule(str(node.target)).forward(*args, **kwargs)
                case "call_method":
                    return getattr(args[0], str(node.target))(*args[1:], **kwargs)
                case "call_function":
                    return node.target(*args, **kwargs)  # type: ignore[operator]
                case _:
                    return None

    def value(self, node: fx.Node) -> Any:
        """The value of a node; torch.fx records buffers without asking for a proxy, so they may come late."""
        if "value" not in node.meta:
            node.meta["value"] = self.execute(node)
        return node.meta["value"]

    @contextlib.contextmanager
    def untraced(self) -> Iterator[None]:
        """While a node is executed its own module calls and parameters are not to be recorded."""
        before, self.executing = self.executing, True
        try:
            yield
        finally:
            self.executing = before

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        return attr_val if self.executing else super().getattr(attr, attr_val, parameter_proxy_cache)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if self.executing:
            return forward(*args, **kwargs)
        try:
            return super().call_module(m, forward, args, kwargs)
        except DeepDiveError:
            raise
        except Exception as error:
            raise untraceable(self.path_of_module(m), m, error) from error


def trace(model: nn.Module, input_shape: tuple[int, int, int]) -> fx.GraphModule:
    """Trace `model` in eval mode for input (channels, height, width).

    Returns
    -------
    A graph module; each node's ``meta`` holds ``shape`` (of the tensor it writes, batch first, or None) and ``owner``.

    Raises
    ------
    UnsupportedLayer
        Naming the module that `torch.fx` cannot follow, and what to change.
    """
    parameter = next(model.parameters(), None)
    device = parameter.device if parameter is not None else torch.device("cpu")
    generator = torch.Generator().manual_seed(0)
    tracer = ShapeTracer(torch.randn(TRACED_BATCH, *input_shape, generator=generator).to(device))
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        graph = tracer.trace(model)
    except DeepDiveError:
        raise
    except Exception as error:
        raise untraceable("", model, error) from error
    finally:
        for module, was_training in training.items():
            module.training = was_training
    for node in graph.nodes:
        value = node.meta.pop("value", None)
        node.meta["shape"] = tuple(value.shape) if isinstance(value, Tensor) else None
    traced = fx.GraphModule(model, graph, type(model).__name__)
    traced.graph.eliminate_dead_code()
    return traced


def contains_tensor(value: Any) -> bool:
    """Whether a value, or an item of a tuple or list, is a tensor."""
    if isinstance(value, tuple | list):
        return any(contains_tensor(item) for item in value)
    return isinstance(value, Tensor)


def attribute(root: nn.Module, path: str) -> Any:
    """The parameter, buffer or attribute behind a dotted name."""
    owner, _, name = path.rpartition(".")
    return getattr(root.get_submodule(owner), name)


def untraceable(path: str, module: nn.Module, error: Exception) -> UnsupportedLayer:
    """The sentence for a module that cannot be followed."""
    reason = (str(error).strip().splitlines() or [""])[0].rstrip(".") or type(error).__name__
    return UnsupportedLayer(
        f"'{path or type(module).__name__}' ({type(module).__name__}) cannot be traced: {reason}; "
        "let forward take one image tensor and hold no branch or loop that depends on its values."
    )
