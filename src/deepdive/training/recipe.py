"""How to train: a recipe, read from TOML, single values overridden by flags."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deepdive.errors import DeepDiveError
from deepdive.quantization.quantizers import Learning
from deepdive.training.augment import Augment


class Optimizer(BaseModel):
    """How weights follow their gradients.

    Parameters
    ----------
    kind
        `sgd` with Nesterov momentum, or `adamw`.
    learning_rate
        At its peak.
    momentum
        Of SGD; AdamW's first beta.
    weight_decay
        Pulls weights of convolutions and linear layers to zero; nothing else (batch norm, biases, scales).
    clip
        Largest norm of the whole gradient; 0 leaves it as it is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = Field(default=0.1, gt=0, le=100)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0, le=1)
    clip: float = Field(default=0.0, ge=0)


class Schedule(BaseModel):
    """How the learning rate changes from step to step: up in a line, then down.

    Parameters
    ----------
    warmup
        Share of all steps in which the rate grows in a line from `start` of its peak.
    decay
        After that: `linear` or `cosine` down to zero, or `constant`.
    start
        First rate, as a share of the peak.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    warmup: float = Field(default=0.1, ge=0, lt=1)
    decay: Literal["linear", "cosine", "constant"] = "linear"
    start: float = Field(default=0.05, gt=0, le=1)


class Grow(BaseModel):
    """Smaller images at first, which cost less (progressive resizing, Tan & Le 2021); for networks of any input size.

    Parameters
    ----------
    size
        Height and width in pixels of the smaller images; 0 never shrinks them.
    until
        Share of the epochs that see smaller images.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(default=0, ge=0, le=8192)
    until: float = Field(default=0.0, ge=0, le=1)

    def at(self, epoch: int, epochs: int) -> int:
        """The size in an epoch 0..epochs-1; 0 for the whole image."""
        return self.size if epoch < self.until * epochs else 0


class LayerBits(BaseModel):
    """Bits of the layers that a pattern matches."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: int = Field(default=8, ge=2, le=8)
    activations: int = Field(default=8, ge=2, le=8)


class Quantization(BaseModel):
    """How a network trains quantized; a recipe without this table trains a float network.

    Parameters
    ----------
    weights, activations, end_bits
        Bits: of all layers; and of the first and last layer's weights and the network's output.
    layers
        Bits of layers whose dotted name matches a pattern, such as `"blocks.3.*"`; the first match counts.
    scales
        `lsq` learns them by gradient (Esser 2020), `ema` follows the extremes (Jacob 2018).
    freeze
        Share of the epochs after which batch norm keeps its statistics; the network then trains with exactly the
        integers that will be on the chip. 0 freezes from the start, 1 never.
    from_bits, lower_until
        Start with so many bits and lose one after the other until that share of the epochs; 0 starts with the last.
    distill, temperature
        Weight of what the float network that the training starts from teaches (Hinton 2015); 0 for no teacher.
    damping
        Weight of the pull of weights to the middle of their codes (Nagel 2022); 0 for none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: int = Field(default=8, ge=2, le=8)
    activations: int = Field(default=8, ge=2, le=8)
    end_bits: int = Field(default=8, ge=2, le=8)
    layers: dict[str, LayerBits] = {}
    scales: Learning = "lsq"
    freeze: float = Field(default=0.75, ge=0, le=1)
    from_bits: Literal[0, 2, 3, 4, 5, 6, 7, 8] = 0
    lower_until: float = Field(default=0.4, ge=0, le=1)
    distill: float = Field(default=0.0, ge=0, le=1000)
    temperature: float = Field(default=2.0, gt=0, le=100)
    damping: float = Field(default=0.0, ge=0, le=1000)


class Recipe(BaseModel):
    """Everything that decides what a training ends with, except the network and the data.

    Parameters
    ----------
    epochs
        Passes over the training images.
    batch_size
        Images of one step, over all processes.
    seed
        Of the weights, the order of images, augmentation and dropout.
    label_smoothing
        Share of each target that is spread over all classes.
    optimizer, schedule, augment, grow, quantization
        See there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(default=10, ge=1, le=100_000)
    batch_size: int = Field(default=128, ge=2, le=1_048_576)
    seed: int = Field(default=0, ge=0, lt=2**31)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    augment: Augment = Augment()
    grow: Grow = Grow()
    quantization: Quantization | None = None


def read_recipe(path: str | Path | None = None, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    path
        A TOML file; None starts from the defaults.
    overrides
        Values that replace the file's, such as `{"epochs": 5, "optimizer.learning_rate": 0.2}`; None leaves one alone.

    Raises
    ------
    DeepDiveError
        When the file cannot be read, or a value is unknown or out of range; the message names it.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DeepDiveError(f"There is no recipe '{path}'; name a TOML file.") from None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise DeepDiveError(f"Cannot read the recipe '{path}' ({error}); want TOML.") from None
    for name, value in (overrides or {}).items():
        if value is not None:
            put(values, name, value)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "the recipe"
        where = f"'{path}'" if path is not None else "The recipe"
        raise DeepDiveError(f"{where}: {name} = {first['input']!r}: {first['msg'].lower()}.") from None


def parse_setting(text: str) -> tuple[str, Any]:
    """`optimizer.momentum=0.8` as name and value; a value that TOML does not know is a word.

    Raises
    ------
    DeepDiveError
        When there is no `=` in it.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise DeepDiveError(f"'{text}' sets nothing; write NAME=VALUE, such as optimizer.momentum=0.8.")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value


def put(values: dict[str, Any], name: str, value: Any) -> None:
    """Set `values[a][b]` for the name `a.b`."""
    *tables, last = name.split(".")
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise DeepDiveError(f"The recipe has no '{name}'; '{table}' is a single value.")
    values[last] = value
