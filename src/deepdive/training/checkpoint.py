"""Checkpoints: one safetensors file with everything a training needs to go on as if nothing had happened."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from deepdive.errors import DeepDiveError
from deepdive.files import write_bytes

FORMAT = 1
NETWORK, OPTIMIZER = "network.", "optimizer."


@dataclass(frozen=True)
class Identity:
    """What must be the same for a checkpoint to be resumed.

    `network` is a digest of the names, shapes and types of its tensors; `data` and `recipe` are what messages may show.
    """

    model: str
    network: str
    data: str
    recipe: dict[str, Any]


@dataclass
class Position:
    """Where a training stands: before step `step` of epoch `epoch`, and the sums over this epoch's steps so far.

    All random numbers follow from the recipe's seed and this position, so no generator's state is stored.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    correct: float = 0.0
    seen: int = 0
    seconds: float = 0.0
    rows: list[dict[str, float]] = field(default_factory=list)
    """Metrics of the epochs that are done."""


def digest(network: nn.Module) -> str:
    """Digest of the names, shapes and types of all parameters and buffers."""
    lines = [f"{name} {tuple(t.shape)} {t.dtype}" for name, t in sorted(network.state_dict().items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def save(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, position: Position, who: Identity) -> None:
    """Write a checkpoint, whole or not at all: it takes the old one's place by a rename."""
    tensors = {NETWORK + name: plain(tensor) for name, tensor in network.state_dict().items()}
    for index, entries in optimizer.state_dict()["state"].items():
        tensors |= {f"{OPTIMIZER}{index}.{name}": plain(t) for name, t in entries.items() if isinstance(t, Tensor)}
    words = json.dumps({"format": FORMAT, "identity": asdict(who), "position": asdict(position)})
    # Not safetensors' save_file: it writes through a temporary file of its own, which a kill would leave behind.
    write_bytes(path, to_bytes(tensors, metadata={"deepdive": words}))


def save_network(path: Path, network: nn.Module) -> None:
    """Write the network's tensors alone, under its own names."""
    tensors = {name: plain(tensor) for name, tensor in network.state_dict().items()}
    write_bytes(path, to_bytes(tensors))


def plain(tensor: Tensor) -> Tensor:
    """A copy on the CPU in the usual memory order, sharing nothing."""
    return tensor.detach().to("cpu", copy=True).contiguous()


def load(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, who: Identity) -> Position:
    """Put a checkpoint into a network and its optimizer, and say where to go on.

    Raises
    ------
    DeepDiveError
        When the file is damaged, or comes from another model, data set or recipe; nothing is changed then.
    """
    try:
        with safe_open(path, "pt") as file:
            words = json.loads((file.metadata() or {})["deepdive"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        if words["format"] != FORMAT:
            raise DeepDiveError(f"Checkpoint '{path}' has format {words['format']}, not {FORMAT}; train anew.")
        position, found = Position(**words["position"]), Identity(**words["identity"])
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise DeepDiveError(f"'{path}' is no readable checkpoint of a training ({error}); train anew.") from None
    refuse_stranger(path, found, who)
    network.load_state_dict({name[len(NETWORK) :]: t for name, t in tensors.items() if name.startswith(NETWORK)})
    load_optimizer(optimizer, {name[len(OPTIMIZER) :]: t for name, t in tensors.items() if name.startswith(OPTIMIZER)})
    return position


def refuse_stranger(path: Path, found: Identity, wanted: Identity) -> None:
    """Raise DeepDiveError when a checkpoint is of another training."""
    if found.model != wanted.model:
        raise DeepDiveError(f"Checkpoint '{path}' is of '{found.model}', not of '{wanted.model}'; name another folder.")
    if found.network != wanted.network:
        raise DeepDiveError(
            f"Checkpoint '{path}' is of a '{found.model}' with other tensors (width, classes or quantization differ); "
            "name another folder."
        )
    if found.data != wanted.data:
        raise DeepDiveError(f"Checkpoint '{path}' was trained on {found.data}, not {wanted.data}; name another folder.")
    for name in sorted(found.recipe.keys() | wanted.recipe.keys()):
        old, new = found.recipe.get(name), wanted.recipe.get(name)
        if old != new:
            raise DeepDiveError(
                f"Checkpoint '{path}' was trained with {name} = {old}, not {new}; resume with the same recipe."
            )


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give each parameter its momentum and whatever else the optimizer keeps, in the parameter's memory order."""
    state: dict[int, dict[str, Tensor]] = {}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for name, tensor in tensors.items():
        index, _, entry = name.partition(".")
        parameter = parameters[int(index)]
        if tensor.shape == parameter.shape:
            tensor = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
        state.setdefault(int(index), {})[entry] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
