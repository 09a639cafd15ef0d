"""Names the layer in which numbers stopped being numbers."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import Any

import torch
from torch import Tensor, nn


def bad_tensor(network: nn.Module) -> str | None:
    """The first parameter or buffer with NaN or infinity, by name."""
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            return name
    return None


def is_finite(value: Any) -> bool:
    """Whether a tensor, or every tensor in the fields of an object, is free of NaN and infinity."""
    if isinstance(value, tuple):
        return all(is_finite(one) for one in value)
    if isinstance(value, Tensor):
        return not value.is_floating_point() or bool(torch.isfinite(value).all())
    return (
        all(is_finite(one) for one in vars(value).values() if isinstance(one, Tensor)) if is_dataclass(value) else True
    )


@torch.no_grad()
def bad_layer(network: nn.Module, inputs: Tensor) -> str | None:
    """The first layer, in the order of execution, whose output for `inputs` has NaN or infinity.

    A layer within a layer is done before it, so the innermost name is found.
    """
    found: list[str] = []

    def check(name: str) -> Any:
        def hook(module: nn.Module, arguments: Any, output: Any) -> None:
            if not found and not is_finite(output):
                found.append(name)

        return hook

    handles = [
        module.register_forward_hook(check(known_as(network, name))) for name, module in network.named_modules() if name
    ]
    try:
        network(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


def known_as(network: nn.Module, path: str) -> str:
    """What the user calls a module: a quantized layer carries the `name` of the float one that it stands for."""
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        name = getattr(network.get_submodule(".".join(parts[:end])), "name", None)
        if isinstance(name, str):
            return name
    return path


def where_it_broke(network: nn.Module, inputs: Tensor) -> str:
    """Words for a message: the layer, or the parameter, or the loss."""
    layer = bad_layer(network, inputs)
    if layer is not None:
        return f"first in layer '{layer}'"
    tensor = bad_tensor(network)
    return f"first in '{tensor}'" if tensor is not None else "in the loss itself, all layers being finite"
