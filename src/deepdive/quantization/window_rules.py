"""Rules for pooling, concatenation and zero padding."""

from __future__ import annotations

from typing import Any

from torch import fx

from deepdive.quantization.fuser import Fuser, Value, argument, operation, pair
from deepdive.quantization.plan import AvgPoolLayer, ConcatLayer, MaxPoolLayer, PoolLayer

Pair = tuple[int, int]
Sides = tuple[int, int, int, int]
INFINITY = float("inf")


def setting(fuser: Fuser, node: fx.Node, index: int, name: str, default: Any) -> Any:
    """Of a pooling module or function."""
    if node.op == "call_module":
        return getattr(fuser.module(node), name, default)
    return argument(node, index, name, default)


def window(fuser: Fuser, node: fx.Node, input_shape: tuple[int, int, int], taken: Sides) -> tuple[Pair, Pair, Sides]:
    """Kernel, stride and padding, `taken` included; ceil_mode is padding more at the bottom and right."""
    kernel = pair(setting(fuser, node, 1, "kernel_size", None))
    stride = pair(setting(fuser, node, 2, "stride", None) or kernel)
    vertical, horizontal = pair(setting(fuser, node, 3, "padding", 0))
    output = fuser.output_shape(node)[1:]
    top, left = taken[0] + vertical, taken[1] + horizontal
    ends = (taken[2] + vertical, taken[3] + horizontal)
    # What the last window reaches beyond the padding, where ceil_mode lets it.
    reach = [
        (output[i] - 1) * stride[i] + kernel[i] - input_shape[i + 1] - start for i, start in enumerate((top, left))
    ]
    return kernel, stride, (top, left, max(ends[0], reach[0]), max(ends[1], reach[1]))


def max_pool(fuser: Fuser, node: fx.Node) -> None:
    """Padding never wins: minus infinity, also where `F.pad` put it before."""
    source: Any = node.args[0]
    dilation = 4 if operation(node) == "max_pool2d" else 0
    if pair(setting(fuser, node, dilation, "dilation", 1)) != (1, 1):
        raise fuser.refuse(node, "has a dilation; use dilation 1 and a larger kernel")
    pending = fuser.values.get(source)
    if pending is not None and any(pending.padding) and pending.fill == -INFINITY:
        value, taken = pending, pending.padding
    else:
        value, taken = fuser.value(node, source), (0, 0, 0, 0)
    kernel, stride, padding = window(fuser, node, fuser.shape(value.layer), taken)
    if max(padding[0], padding[2]) >= kernel[0] or max(padding[1], padding[3]) >= kernel[1]:
        raise fuser.refuse(node, f"pads by {padding}, as much as its kernel {kernel}; pad by less than the kernel")
    name = fuser.name(node, "" if node.op == "call_module" else "max_pool")
    fuser.add(node, MaxPoolLayer(name, [value.layer], fuser.output_shape(node), kernel, stride, padding))


def adaptive_max_pool(fuser: Fuser, node: fx.Node) -> None:
    """As windows of one size side by side."""
    value = fuser.value(node, node.args[0])
    kernel = adaptive_window(fuser, node, value)
    if kernel == (1, 1):
        fuser.alias(node, value)
    else:
        name = fuser.name(node, "" if node.op == "call_module" else "max_pool")
        fuser.add(node, MaxPoolLayer(name, [value.layer], fuser.output_shape(node), kernel, kernel))


def adaptive_window(fuser: Fuser, node: fx.Node, value: Value) -> Pair:
    """The window of adaptive pooling, all of one size."""
    _, height, width = fuser.shape(value.layer)
    _, rows, columns = fuser.output_shape(node)
    if height % rows or width % columns:
        raise fuser.refuse(
            node, f"makes {rows}x{columns} of {height}x{width} with windows of several sizes; choose divisors"
        )
    return height // rows, width // columns


def adaptive_avg_pool(fuser: Fuser, node: fx.Node) -> None:
    """One pixel: the mean of the map; else windows of one size side by side."""
    value = fuser.value(node, node.args[0])
    kernel = adaptive_window(fuser, node, value)
    average(fuser, node, value, kernel, kernel, (0, 0, 0, 0), counts_padding=True)


def avg_pool(fuser: Fuser, node: fx.Node) -> None:
    """Mean of windows."""
    if setting(fuser, node, 6, "divisor_override", None) is not None:
        raise fuser.refuse(node, "has a divisor_override; divide by the window's size, and scale what follows")
    source: Any = node.args[0]
    counts_padding = bool(setting(fuser, node, 5, "count_include_pad", True))
    pending = fuser.values.get(source)
    taken = (0, 0, 0, 0)
    if counts_padding and pending is not None and pending.fill == 0 and not pending.averaged:
        value, taken = pending, pending.padding
    else:
        value = fuser.value(node, source)
    kernel, stride, padding = window(fuser, node, fuser.shape(value.layer), taken)
    if max(padding[0], padding[2]) >= kernel[0] or max(padding[1], padding[3]) >= kernel[1]:
        if value is not pending or not any(taken):
            raise fuser.refuse(node, f"pads by {padding}, as much as its kernel {kernel}; pad by less than the kernel")
        value = fuser.value(node, source)
        kernel, stride, padding = window(fuser, node, fuser.shape(value.layer), (0, 0, 0, 0))
    vertical, horizontal = pair(setting(fuser, node, 3, "padding", 0))
    if counts_padding and (padding[2] > taken[2] + vertical or padding[3] > taken[3] + horizontal):
        raise fuser.refuse(node, "has ceil_mode and divides by what its padding holds; use count_include_pad=False")
    average(fuser, node, value, kernel, stride, padding, counts_padding=counts_padding)


def average(
    fuser: Fuser, node: fx.Node, value: Value, kernel: Pair, stride: Pair, padding: Sides, *, counts_padding: bool
) -> None:
    """Append a mean over windows, as the mean of the whole map where there is one window and no padding."""
    shape = fuser.shape(value.layer)
    if kernel == (1, 1) and stride == (1, 1):
        fuser.alias(node, Value(value.layer))
        return
    name = fuser.name(node, "" if node.op == "call_module" else "pool")
    if kernel == shape[1:] and not any(padding):
        fuser.add(node, PoolLayer(name, [value.layer], (shape[0], 1, 1)))
        return
    counts = counts_padding or not any(padding)
    fuser.add(node, AvgPoolLayer(name, [value.layer], fuser.output_shape(node), kernel, stride, padding, counts))


def concat(fuser: Fuser, node: fx.Node) -> None:
    """Channels side by side, as a chain of pairs."""
    parts: Any = argument(node, 0, "tensors")
    rank = len(node.meta["shape"])
    if argument(node, 1, "dim", 0) % rank != 1:
        raise fuser.refuse(node, "joins another axis than the channels; use dim=1")
    values = [fuser.value(node, part) for part in parts]
    whole, name = values[0].layer, fuser.name(node, "concat")
    if len(values) == 1:
        fuser.alias(node, values[0])
        return
    for index, value in enumerate(values[1:], start=2):
        (channels, *size), more = fuser.shape(whole), fuser.shape(value.layer)[0]
        shape = (channels + more, size[0], size[1])
        layer = ConcatLayer(name if index == len(values) else f"{name}_first{index}", [whole, value.layer], shape)
        fuser.add(node, layer)
        whole = layer.name
