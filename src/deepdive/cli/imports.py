"""Commands for networks from and to elsewhere: import, export."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deepdive.cli.console import Json, out, print_json
from deepdive.errors import DeepDiveError


class Format(StrEnum):
    """What `export` writes."""

    QONNX = "qonnx"


Output = Annotated[Path, typer.Option("--output", "-o", help="The ONNX file to write.")]


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
    images: Annotated[
        Path | None, typer.Option(help="Folder of pictures to quantize a float network with; no labels needed.")
    ] = None,
    mean: Annotated[
        str | None, typer.Option(metavar="R,G,B", help="Of pixels from 0 to 1; the network takes (pixel - mean) / std.")
    ] = None,
    std: Annotated[str | None, typer.Option(metavar="R,G,B", help="As --mean; 1,1,1 if left out.")] = None,
    resize_short: Annotated[
        int | None, typer.Option(min=1, help="Short side of the picture that the middle is cut from; squashed without.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Turn a network from elsewhere into an integer network.

    A file is compared with ONNX Runtime, layer by layer, and what differs is printed.

    Example: `deepdive import brevitas.onnx -o net.onnx`
    """
    from deepdive.qnet.importers import import_network

    photographs = None
    if images or mean or std or resize_short:
        from deepdive.qnet.importers.photographs import Photographs
        from deepdive.qnet.pictures import list_pictures

        pictures = tuple(picture.path for picture in list_pictures(images)) if images else ()
        colours = (three(mean or "0,0,0", "--mean"), three(std or "1,1,1", "--std"))
        photographs = Photographs(*colours, resize_short, "bilinear", pictures)
    imported = import_network(source, repair=repair, keep_bits=keep_bits, photographs=photographs)
    net = imported.net
    net.save(output)
    if as_json:
        facts = {"file": str(output), "source": imported.source, "nodes": len(net.nodes), "macs": net.macs()}
        deviation = imported.deviation and asdict(imported.deviation)
        print_json(facts | {"notes": imported.notes, "deviation": deviation})
        return
    out.print(f"Wrote {output}: {imported.source}, {len(net.nodes)} operators, {net.macs() / 1e6:.1f} million MACs.")
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
