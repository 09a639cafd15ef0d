"""From what a user names - a network, data, a recipe, a folder - to a training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import PartialState
from torch import nn

from deepdive.errors import DeepDiveError
from deepdive.models import build, find, load_weights, read_checkpoint
from deepdive.qnet.preprocess import Preprocess
from deepdive.quantization import Facts
from deepdive.training.bar import Watcher
from deepdive.training.batches import Normalize, raw_pixels
from deepdive.training.data import open_data
from deepdive.training.image_set import Skipped
from deepdive.training.loop import Job, Trained, train
from deepdive.training.quantized import lowered, quantized
from deepdive.training.recipe import Recipe

NAMES_SHOWN = 5


@dataclass(frozen=True)
class Wish:
    """What a user wants trained.

    Parameters
    ----------
    model
        A name of the zoo, or `package.module:callable`.
    data
        As `open_data` takes it: `digits`, a folder, a tar file.
    recipe
        How to train.
    out
        Folder for what comes of it.
    width, resolution
        Of the network; None for its own.
    pretrained, checkpoint
        Start from the zoo's weights, or from a file of weights, instead of random ones.
    resume
        Go on from the checkpoint in `out`, if there is one.
    cpu
        Stay on the CPU even where there is a GPU.
    """

    model: str
    data: str
    recipe: Recipe
    out: Path
    width: float | None = None
    resolution: int | None = None
    pretrained: bool = False
    checkpoint: Path | None = None
    resume: bool = False
    cpu: bool = False


def start_training(wish: Wish, watcher: Watcher) -> Trained:
    """Open the data, build the network and train it; every process of a torchrun calls this.

    Raises
    ------
    DeepDiveError
        As `open_data`, `build` and `train`.
    """
    if wish.pretrained and wish.checkpoint:
        raise DeepDiveError("Start from the pretrained weights or from a checkpoint, not from both.")
    state = PartialState(cpu=wish.cpu or not torch.cuda.is_available())
    spec = find(wish.model)
    spec = spec.at(wish.resolution) if wish.resolution else spec
    preprocess = Preprocess((spec.resolution, spec.resolution), spec.resize_short, spec.interpolation)
    with state.local_main_process_first():  # one process decodes, the others map what it wrote
        data = open_data(wish.data, preprocess, progress=watcher.decode if state.is_main_process else None)
    network = starting_network(wish, len(data.train.classes))
    integer = quantized(network, spec, wish.recipe) if wish.recipe.quantization else None
    if data.skipped and state.is_main_process:
        watcher.say(skipped_words(data.skipped))
    job = Job(
        model=wish.model,
        recipe=wish.recipe,
        inputs=raw_pixels if integer else Normalize(spec.mean, spec.std),
        out=wish.out,
        resume=wish.resume,
        cpu=wish.cpu,
        facts={
            "width": wish.width,
            "resolution": spec.resolution,
            "mean": spec.mean,
            "std": spec.std,
            "classes": data.train.classes,
            "skipped": [one.name for one in data.skipped],
        },
    )
    trained = train(
        integer.network if integer else network, data, job, integer.hooks if integer else (), watcher=watcher
    )
    leave_together(state)
    if integer and trained.is_main:
        lowered(integer.network, data.test, Facts(spec.name, preprocess, tuple(data.train.classes)), wish.out)
    return trained


def leave_together(state: PartialState) -> None:
    """Close what joins the processes, once all are done: whoever ends with it open may be aborted by its threads."""
    if state.use_distributed:
        state.wait_for_everyone()
        state.destroy_process_group()


def starting_network(wish: Wish, classes: int) -> nn.Module:
    """The network with its first weights, the same in every process."""
    torch.manual_seed(wish.recipe.seed)
    network = build(
        wish.model, width=wish.width, resolution=wish.resolution, num_classes=classes, pretrained=wish.pretrained
    )
    if wish.checkpoint:
        load_weights(network, read_checkpoint(wish.checkpoint), f"'{wish.checkpoint}'")
    return network


def skipped_words(skipped: tuple[Skipped, ...]) -> str:
    """A sentence that counts and names the images that could not be read."""
    names = ", ".join(one.name for one in skipped[:NAMES_SHOWN])
    more = f" and {len(skipped) - NAMES_SHOWN} more" if len(skipped) > NAMES_SHOWN else ""
    return f"Skipped {len(skipped)} unreadable image{'s' if len(skipped) > 1 else ''}: {names}{more}."
