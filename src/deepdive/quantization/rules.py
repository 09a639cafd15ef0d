"""One rule a kind of torch operation: what it becomes in the plan."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from deepdive.quantization import conv_rules, window_rules
from deepdive.quantization.fuser import Fuser, Rule, Value, argument, operation
from deepdive.quantization.plan import AddLayer, Clip, PoolLayer, ScaleLayer, TableLayer
from deepdive.quantization.trace import REMOVED_CLASSES

INFINITY = float("inf")
CURVES: dict[str, Callable[[Tensor], Tensor]] = {
    "hardswish": F.hardswish,
    "silu": F.silu,
    "hardsigmoid": F.hardsigmoid,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "elu": F.elu,
    "mish": F.mish,
    "leaky_relu": F.leaky_relu,
    "softplus": F.softplus,
    "exp": torch.exp,
    "sqrt": torch.sqrt,
    "erf": torch.erf,
    "abs": torch.abs,
    "neg": torch.neg,
}


def find_rule(fuser: Fuser, node: fx.Node) -> Rule | None:
    """The rule for a node, or None."""
    if node.op == "call_module":
        module = fuser.module(node)
        if type(module).__name__ in REMOVED_CLASSES:
            return identity
        return next((MODULES[kind] for kind in type(module).__mro__ if kind in MODULES), None)
    name = operation(node)
    return FUNCTIONS.get(name) or FUNCTIONS.get(name.rstrip("_"))


def identity(fuser: Fuser, node: fx.Node) -> None:
    fuser.alias(node, fuser.values[node.all_input_nodes[0]])


# Activations.


def clip_rule(low: float, high: float) -> Rule:
    """A rule for a clip with fixed bounds."""
    return lambda fuser, node: fuser.clip(node, node.args[0], Clip(low, high))


def hardtanh_module(fuser: Fuser, node: fx.Node) -> None:
    module = fuser.module(node)
    fuser.clip(node, node.args[0], Clip(module.min_val, module.max_val))


def clamp_function(fuser: Fuser, node: fx.Node) -> None:
    hard = operation(node).startswith("hardtanh")
    low = argument(node, 1, "min_val" if hard else "min", -1.0 if hard else None)
    high = argument(node, 2, "max_val" if hard else "max", 1.0 if hard else None)
    fuser.clip(node, node.args[0], Clip(-INFINITY if low is None else low, INFINITY if high is None else high))


def curve_module(fuser: Fuser, node: fx.Node) -> None:
    module = fuser.module(node)
    fuser.table(node, fuser.value(node, node.args[0]), module.forward)


def curve_function(fuser: Fuser, node: fx.Node) -> None:
    name = operation(node).rstrip("_")
    options = {key: value for key, value in node.kwargs.items() if key != "inplace"}
    curve = CURVES[name]
    fuser.table(node, fuser.value(node, node.args[0]), lambda x: curve(x, *node.args[1:], **options), name)


# Arithmetic.


def add(fuser: Fuser, node: fx.Node) -> None:
    left, right = node.args[0], argument(node, 1, "other")
    if argument(node, 2, "alpha", 1) != 1:
        raise fuser.refuse(node, "has alpha; add feature maps as they are")
    if fuser.is_map(left) and fuser.is_map(right):
        names = [fuser.value(node, one).layer for one in (left, right)]
        if fuser.shape(names[0]) != fuser.shape(names[1]):
            raise fuser.refuse(
                node, f"adds maps of {fuser.shape(names[0])} and {fuser.shape(names[1])}; make the shapes equal"
            )
        fuser.add(node, AddLayer(fuser.name(node, "add"), names, fuser.shape(names[0])))
    elif 0 in (left, right) and not (isinstance(left, Tensor) or isinstance(right, Tensor)):
        identity(fuser, node)
    else:
        arithmetic(fuser, node)


def arithmetic(fuser: Fuser, node: fx.Node) -> None:
    """A feature map and a number: a table."""
    left, right = node.args[0], argument(node, 1, "other")
    name = operation(node).strip("_")
    function = ARITHMETIC[name]
    if fuser.is_map(left) and isinstance(right, int | float):
        fuser.table(node, fuser.value(node, left), lambda x: function(x, right), name)
    elif fuser.is_map(right) and isinstance(left, int | float):
        fuser.table(node, fuser.value(node, right), lambda x: function(left, x), name)
    else:
        raise fuser.refuse(node, "combines the feature map with something that is neither a map nor a number")


def multiply(fuser: Fuser, node: fx.Node) -> None:
    """Number: table; a map and a function of it: table; a map and one factor a channel: squeeze-excite."""
    left, right = node.args[0], argument(node, 1, "other")
    if not (fuser.is_map(left) and fuser.is_map(right)):
        arithmetic(fuser, node)
        return
    names = [fuser.value(node, one).layer for one in (left, right)]
    if gate(fuser, node, names) or gate(fuser, node, names[::-1]):
        return
    for x, factors in (names, names[::-1]):
        if fuser.shape(factors) == (fuser.shape(x)[0], 1, 1):
            layer = ScaleLayer(fuser.name(node, "scale"), [x, factors], fuser.shape(x))
            fuser.add(node, layer)
            return
    raise fuser.refuse(
        node, f"multiplies maps of {fuser.shape(names[0])} and {fuser.shape(names[1])}; one must be (C, 1, 1)"
    )


def gate(fuser: Fuser, node: fx.Node, names: list[str]) -> bool:
    """``x * f(x)``, such as a swish written out, is a table of x."""
    x, table = names[0], fuser.layers.get(names[1])
    if not isinstance(table, TableLayer):
        return False
    inner = table.function
    if table.inputs == [x]:
        fuser.table(node, Value(x), lambda v: v * inner(v), "mul")
        return True
    before = fuser.layers.get(x)
    if isinstance(before, TableLayer) and before.inputs == table.inputs:
        outer = before.function
        fuser.table(node, Value(table.inputs[0]), lambda v: outer(v) * inner(v), "mul")
        return True
    return False


# Shapes.


def mean(fuser: Fuser, node: fx.Node) -> None:
    """Mean over both spatial axes, at once or one after the other."""
    source: Any = node.args[0]
    dims = argument(node, 1, "dim")
    if not fuser.is_map(source) or dims is None:
        raise fuser.refuse(node, "averages over everything; average over height and width, mean([2, 3])")
    value = fuser.values[source]
    rank = len(source.meta["shape"])
    axes = {dim % rank for dim in ((dims,) if isinstance(dims, int) else dims)}
    averaged = tuple(sorted({*axes, *value.averaged}))
    if any(value.padding) or not axes or averaged not in ((2, 3), (2,), (3,)) or (value.averaged == (2,)):
        raise fuser.refuse(node, f"averages over axes {sorted(axes)}; average over height and width, mean([2, 3])")
    if averaged != (2, 3):
        fuser.alias(node, Value(value.layer, averaged=averaged))
        return
    channels, height, width = fuser.shape(value.layer)
    if (height, width) == (1, 1):
        fuser.alias(node, Value(value.layer))
    else:
        fuser.add(node, PoolLayer(fuser.name(node, "pool"), [value.layer], (channels, 1, 1)))


def reshape(fuser: Fuser, node: fx.Node) -> None:
    """Flattening one image to a vector, or adding and dropping axes of length one."""
    source = node.args[0]
    if not isinstance(source, fx.Node) or source not in fuser.values:
        raise fuser.refuse(node, "reshapes something that is no feature map")
    value, before, after = fuser.values[source], source.meta["shape"], node.meta["shape"]
    one_pixel = fuser.shape(value.layer)[1:] == (1, 1)
    flattens = after is not None and len(after) == 2 and after[0] == before[0]
    keeps_channels = one_pixel and after is not None and after[:2] == before[:2]
    allowed = flattens or keeps_channels or before == after
    if any(value.padding) or value.averaged or not allowed:
        raise fuser.refuse(node, f"reshapes {before} to {after}; of all reshapes only flatten can be mapped")
    if flattens and not one_pixel and any(not is_linear(fuser, user) for user in node.users):
        raise fuser.refuse(node, "flattens a map that is not one pixel, and not for a Linear; pool it first")
    fuser.alias(node, value)


def is_linear(fuser: Fuser, node: fx.Node) -> bool:
    """Whether `node` leads to linear layers alone (dropout may lie between)."""
    if node.op == "call_module" and isinstance(fuser.module(node), nn.Linear):
        return True
    if operation(node) == "linear":
        return True
    return find_rule(fuser, node) is identity and all(is_linear(fuser, user) for user in node.users)


ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "iadd": operator.add,
    "sub": operator.sub,
    "isub": operator.sub,
    "mul": operator.mul,
    "imul": operator.mul,
    "truediv": operator.truediv,
    "itruediv": operator.truediv,
    "div": operator.truediv,
}

MODULES: dict[type[nn.Module], Rule] = {
    nn.Conv2d: conv_rules.conv_module,
    nn.Linear: conv_rules.linear_module,
    nn.BatchNorm2d: conv_rules.norm_module,
    nn.BatchNorm1d: conv_rules.norm_module,
    nn.ZeroPad2d: conv_rules.pad_module,
    nn.ConstantPad2d: conv_rules.pad_module,
    nn.ReLU: clip_rule(0.0, INFINITY),
    nn.ReLU6: clip_rule(0.0, 6.0),
    nn.Hardtanh: hardtanh_module,
    nn.Hardswish: curve_module,
    nn.SiLU: curve_module,
    nn.Hardsigmoid: curve_module,
    nn.Sigmoid: curve_module,
    nn.Tanh: curve_module,
    nn.GELU: curve_module,
    nn.ELU: curve_module,
    nn.Mish: curve_module,
    nn.LeakyReLU: curve_module,
    nn.Softplus: curve_module,
    nn.AdaptiveAvgPool2d: window_rules.adaptive_avg_pool,
    nn.AdaptiveMaxPool2d: window_rules.adaptive_max_pool,
    nn.AvgPool2d: window_rules.avg_pool,
    nn.MaxPool2d: window_rules.max_pool,
    nn.Flatten: reshape,
    nn.Dropout: identity,
    nn.Dropout2d: identity,
    nn.Identity: identity,
}

FUNCTIONS: dict[str, Rule] = {
    "conv2d": conv_rules.conv_function,
    "linear": conv_rules.linear_function,
    "batch_norm": conv_rules.norm_function,
    "pad": conv_rules.pad_function,
    "relu": clip_rule(0.0, INFINITY),
    "relu6": clip_rule(0.0, 6.0),
    "hardtanh": clamp_function,
    "clamp": clamp_function,
    "clip": clamp_function,
    **dict.fromkeys(CURVES, curve_function),
    "add": add,
    "iadd": add,
    "sub": arithmetic,
    "isub": arithmetic,
    "mul": multiply,
    "imul": multiply,
    "div": arithmetic,
    "truediv": arithmetic,
    "itruediv": arithmetic,
    "adaptive_avg_pool2d": window_rules.adaptive_avg_pool,
    "adaptive_max_pool2d": window_rules.adaptive_max_pool,
    "avg_pool2d": window_rules.avg_pool,
    "max_pool2d": window_rules.max_pool,
    "cat": window_rules.concat,
    "concat": window_rules.concat,
    "mean": mean,
    "flatten": reshape,
    "view": reshape,
    "reshape": reshape,
    "squeeze": reshape,
    "unsqueeze": reshape,
    **dict.fromkeys(
        ("dropout", "dropout2d", "stochastic_depth", "drop_path", "contiguous", "clone", "detach"),
        identity,
    ),
}
