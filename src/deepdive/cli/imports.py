"""Commands for networks from and to elsewhere: import, export."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepdive.cli.console import Json, out, print_json, progress
from deepdive.errors import DeepDiveError

if TYPE_CHECKING:
    from deepdive.qnet.importers import Imported, Photographs


class Format(StrEnum):
    """What `export` writes."""

    QONNX = "qonnx"


Output = Annotated[Path, typer.Option("--output", "-o", help="The ONNX file to write.")]
Images = Annotated[
    Path | None,
    typer.Option("--images", "--calibration", help="Folder of pictures to quantize a float network with; no labels."),
]
Mean = Annotated[
    str | None, typer.Option(metavar="R,G,B", help="Of pixels from 0 to 1; the network takes (pixel - mean) / std.")
]
Std = Annotated[str | None, typer.Option(metavar="R,G,B", help="As --mean; 1,1,1 if left out.")]
ResizeShort = Annotated[
    int | None, typer.Option(min=1, help="Short side of the picture that the middle is cut from; squashed without.")
]


def import_(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE_OR_FOLDER",
            help="An ONNX file (QDQ, QONNX or float), or the parameter folder of the paper's published MobileNetV2.",
        ),
    ],
    output: Output,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend the known defects of the paper's published network.")
    ] = False,
    keep_bits: Annotated[
        bool, typer.Option("--keep-bits", help="Keep the weights' bits where finer biases would want more.")
    ] = False,
    images: Images = None,
    mean: Mean = None,
    std: Std = None,
    resize_short: ResizeShort = None,
    weights: Annotated[int | None, typer.Option(min=2, max=8, help="Of a float network: bits of the weights.")] = None,
    activations: Annotated[
        int | None, typer.Option(min=2, max=8, help="Of a float network: bits of the activations.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Turn a network from elsewhere into an integer network.

    A quantized file is compared with ONNX Runtime, layer by layer, and what differs is printed. A float file is
    quantized with pictures, as `deepdive quantize` does it.

    Example: `deepdive import brevitas.onnx -o net.onnx`
    """
    from deepdive.qnet.importers import FloatFile, import_network

    photographs = photographs_of(images, mean, std, resize_short)
    try:
        imported = import_network(source, repair=repair, keep_bits=keep_bits, photographs=photographs)
    except FloatFile:
        if images is None:
            raise
        quantize_file(source, output, photographs, (weights or 8, activations or 8), as_json=as_json)
        return
    if weights or activations:
        raise DeepDiveError(f"'{source}' is quantized already; leave out --weights and --activations.")
    write(imported, output, as_json=as_json)


def photographs_of(
    images: Path | None, mean: str | None, std: str | None, resize_short: int | None
) -> Photographs | None:
    """What the options say of pictures, None when they say nothing."""
    if not (images or mean or std or resize_short):
        return None
    from deepdive.qnet.importers.photographs import Photographs
    from deepdive.qnet.pictures import list_pictures

    pictures = tuple(picture.path for picture in list_pictures(images)) if images else ()
    colours = (three(mean or "0,0,0", "--mean"), three(std or "1,1,1", "--std"))
    return Photographs(*colours, resize_short, "bilinear", pictures)


def quantize_file(
    source: Path, output: Path, photographs: Photographs | None, bits: tuple[int, int], *, as_json: bool
) -> None:
    """Quantize a float ONNX file and say so."""
    from deepdive.quantization.from_onnx import Options, import_float

    assert photographs is not None
    with progress("quantizing") as step:
        imported = import_float(source, Options(photographs, *bits, progress=step))
    write(imported, output, as_json=as_json)


def write(imported: Imported, output: Path, *, as_json: bool) -> None:
    """Save what was imported, and print what its owner should know."""
    net = imported.net
    net.save(output)
    if as_json:
        facts = {"file": str(output), "source": imported.source, "nodes": len(net.nodes), "macs": net.macs()}
        deviation = imported.deviation and asdict(imported.deviation)
        print_json(facts | {"notes": imported.notes, "deviation": deviation})
        return
    out.print(f"Wrote {output}: {imported.source}, {len(net.nodes)} operators, {net.macs():,} MACs a frame.")
    for note in imported.notes:
        out.print(f"- {note}", markup=False, highlight=False, soft_wrap=True)


def three(text: str, option: str) -> tuple[float, float, float]:
    """Three numbers with commas between them."""
    try:
        red, green, blue = (float(part) for part in text.split(","))
    except ValueError:
        raise DeepDiveError(f"{option} {text!r:.40} is not three numbers such as 0.485,0.456,0.406.") from None
    return red, green, blue


def export(
    net: Annotated[Path, typer.Argument(help="An integer network: the ONNX file of `deepdive quantize` or `import`.")],
    output: Output,
    form: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.QONNX,
    as_json: Json = False,
) -> None:
    """Write an integer network for other tools.

    Example: `deepdive export net.onnx --format qonnx -o net_qonnx.onnx`
    """
    from deepdive.qnet.onnx_file import load

    network = load(net)
    network.export_qonnx(output)
    if as_json:
        print_json({"file": str(output), "format": form.value, "nodes": len(network.nodes)})
        return
    out.print(f"Wrote {output}: {form.value}, {len(network.nodes)} operators.", markup=False, soft_wrap=True)
