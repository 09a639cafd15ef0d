"""Commands of the network wing: models, quantize, evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

import deepdive.cli.imports as imports
from deepdive.cli.console import Json, out, print_json, progress, words
from deepdive.errors import DeepDiveError

Output = Annotated[Path, typer.Option("--output", "-o", help="The ONNX file to write.")]


def models(as_json: Json = False) -> None:
    """List the networks of the zoo."""
    from deepdive.models import zoo

    if as_json:
        print_json(
            [
                {
                    "name": spec.name,
                    "description": spec.description,
                    "resolution": spec.resolution,
                    "num_classes": spec.num_classes,
                    "pretrained": spec.pretrained is not None,
                }
                for spec in zoo.SPECS
            ]
        )
        return
    table = Table()
    for heading in ("name", "input", "pretrained", "what it is"):
        table.add_column(heading)
    for spec in zoo.SPECS:
        pretrained = "yes" if spec.pretrained else ""
        table.add_row(spec.name, f"{spec.resolution}x{spec.resolution}", pretrained, spec.description)
    out.print(table)
    out.print("Your own network goes in as `package.module:callable`.")


def quantize(
    model: Annotated[
        str, typer.Argument(help="A name of `deepdive models`, package.module:callable, or a float ONNX file.")
    ],
    output: Output,
    images: Annotated[
        Path | None,
        typer.Option(
            help="Folder of pictures that show what the network will see; no labels needed. Without it, images are "
            "made up from the statistics of batch norm."
        ),
    ] = None,
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Load the zoo's pretrained weights.")] = False,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Weights: safetensors, or a state_dict of torch.save.")
    ] = None,
    width: Annotated[float | None, typer.Option(help="Width multiplier.")] = None,
    resolution: Annotated[int | None, typer.Option(help="Input height and width in pixels.")] = None,
    classes: Annotated[int | None, typer.Option(help="Number of classes.")] = None,
    weights: Annotated[int, typer.Option(min=2, max=8, help="Bits of the weights.")] = 8,
    activations: Annotated[int, typer.Option(min=2, max=8, help="Bits of the activations.")] = 8,
    mean: imports.Mean = None,
    std: imports.Std = None,
    resize_short: imports.ResizeShort = None,
    as_json: Json = False,
) -> None:
    """Quantize a trained network (post-training) to an integer network.

    Of an ONNX file, --mean, --std and --resize-short say what the network was trained on; the others know.

    Example: `deepdive quantize efficientnet_lite0 --pretrained --images photos/ -o net.onnx`
    """
    if model.endswith(".onnx"):
        if pretrained or checkpoint or width or resolution or classes:
            raise DeepDiveError(f"'{model}' brings weights and sizes; leave out the options that choose them.")
        photographs = imports.photographs_of(images, mean, std, resize_short)
        imports.quantize_file(Path(model), output, photographs, (weights, activations), as_json=as_json)
        return
    if mean or std or resize_short:
        raise DeepDiveError(f"'{model}' knows its --mean, --std and --resize-short; leave them out.")
    from deepdive.models import zoo
    from deepdive.models.weights import load_weights, read_checkpoint
    from deepdive.qnet import Preprocess
    from deepdive.qnet.pictures import list_pictures
    from deepdive.qnet.preprocess import read_images
    from deepdive.quantization import Facts, QuantizeOptions
    from deepdive.quantization import quantize as quantize_model

    spec = zoo.find(model)
    spec = spec.at(resolution) if resolution else spec
    module = zoo.build(model, width=width, resolution=resolution, num_classes=classes, pretrained=pretrained)
    if checkpoint:
        load_weights(module, read_checkpoint(checkpoint), f"'{checkpoint}'")
    elif not pretrained:
        words.print(f"[yellow]'{model}' has random weights; add --pretrained or --checkpoint FILE.[/]")
    preprocess = Preprocess((spec.resolution, spec.resolution), spec.resize_short, spec.interpolation)
    codes = read_images([one.path for one in list_pictures(images)], preprocess) if images else None
    labels = spec.labels() if spec.labels and classes in (None, spec.num_classes) else ()
    with progress("quantizing") as step:
        size = (spec.resolution, spec.resolution)
        options = QuantizeOptions(size=size, facts=Facts(spec.name, preprocess, labels), progress=step)
        net = quantize_model(module, codes, weights, activations, mean=spec.mean, std=spec.std, options=options)
    net.save(output)
    if as_json:
        pictures = 0 if codes is None else len(codes)
        print_json({"file": str(output), "nodes": len(net.nodes), "macs": net.macs(), "calibration_images": pictures})
        return
    calibrated = "images made up from batch norm" if codes is None else f"{len(codes)} pictures"
    out.print(
        f"Wrote {output}: {len(net.nodes)} operators, {net.macs() / 1e6:.1f} million multiply-accumulates, "
        f"W{weights}A{activations}, calibrated on {calibrated}. Every feature map of the quantized module "
        "equals the integer network's."
    )


def evaluate(
    net: Annotated[Path, typer.Argument(help="An integer network: the ONNX file of `deepdive quantize`.")],
    data: Annotated[Path, typer.Option(help="Folder of pictures with labels.csv (file,label) or one folder a class.")],
    as_json: Json = False,
) -> None:
    """Count how many labelled pictures the integer network gets right."""
    from deepdive.qnet.classify import evaluate as evaluate_net
    from deepdive.qnet.onnx_file import load
    from deepdive.qnet.pictures import list_pictures

    network = load(net)
    with progress("evaluating") as step:
        accuracy = evaluate_net(network, list_pictures(data, network.labels), lambda done, of: step(done=done, of=of))
    if as_json:
        print_json({"images": accuracy.images, "top1": accuracy.top1, "top5": accuracy.top5})
        return
    for name, right in (("top-1", accuracy.top1), ("top-5", accuracy.top5)):
        out.print(f"{name}: {right} of {accuracy.images} ({right / accuracy.images:.1%}), integer reference")
