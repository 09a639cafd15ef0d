"""The command that trains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deepdive.cli.console import Json, out, print_json, words


def train(
    model: Annotated[str, typer.Argument(help="A name of `deepdive models`, or package.module:callable.")],
    data: Annotated[
        str,
        typer.Option(help="digits, an image folder, a tar file, arrays; or a folder with train and test of these."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the checkpoint, weights and metrics.")],
    recipe: Annotated[Path | None, typer.Option(help="How to train: a TOML file. Flags override it.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images of a step, over all processes.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="At its peak.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of every random number.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Any value of the recipe: NAME=VALUE, as augment.flip=true.")
    ] = None,
    width: Annotated[float | None, typer.Option(help="Width multiplier.")] = None,
    resolution: Annotated[int | None, typer.Option(help="Input height and width in pixels.")] = None,
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Start from the zoo's pretrained weights.")] = False,
    checkpoint: Annotated[Path | None, typer.Option(help="Start from these weights.")] = None,
    weights: Annotated[int | None, typer.Option(min=2, max=8, help="Train quantized, weights of so many bits.")] = None,
    activations: Annotated[
        int | None, typer.Option(min=2, max=8, help="Train quantized, activations of so many bits.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in the output folder.")] = False,
    cpu: Annotated[bool, typer.Option("--cpu", help="Stay on the CPU even where there is a GPU.")] = False,
    as_json: Json = False,
) -> None:
    """Train a network; under torchrun, on many processes.

    Examples: `deepdive train efficientnet_compact_32 --data digits -o run/`,
    `torchrun --nproc-per-node 2 -m deepdive train mobilenet_v2_32 --data cifar10/ -o run/`
    """
    from deepdive.training import Wish, parse_setting, progress_bar, read_recipe, start_training

    flags = {
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer.learning_rate": learning_rate,
        "seed": seed,
        "quantization.weights": weights,
        "quantization.activations": activations,
        **dict(parse_setting(one) for one in setting or ()),
    }
    wish = Wish(
        model=model,
        data=data,
        recipe=read_recipe(recipe, flags),
        out=output,
        width=width,
        resolution=resolution,
        pretrained=pretrained,
        checkpoint=checkpoint,
        resume=resume,
        cpu=cpu,
    )
    with progress_bar(words) as watcher:
        trained = start_training(wish, watcher)
    if not trained.is_main:
        return
    score = trained.test
    if as_json:
        print_json(
            {
                "epochs": len(trained.rows),
                "test_accuracy": score.accuracy,
                "test_images": score.images,
                "test_loss": score.loss,
                "network": str(trained.network_file),
            }
        )
        return
    out.print(
        f"{score.correct} of {score.images} test images are right ({score.accuracy:.2%}), network in "
        f"{trained.network_file}."
    )
