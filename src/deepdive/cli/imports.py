"""Commands for networks from and to elsewhere: import, export."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deepdive.cli.console import Json, out, print_json


class Format(StrEnum):
    """What `export` writes."""

    QONNX = "qonnx"


Output = Annotated[Path, typer.Option("--output", "-o", help="The ONNX file to write.")]


def import_(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE_OR_FOLDER",
            help="A quantized ONNX file (QDQ or QONNX), or the parameter folder of the paper's published MobileNetV2.",
        ),
    ],
    output: Output,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend the known defects of the paper's published network.")
    ] = False,
    keep_bits: Annotated[
        bool, typer.Option("--keep-bits", help="Keep the weights' bits where finer biases would want more.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Turn a network from elsewhere into an integer network.

    A file is compared with ONNX Runtime, layer by layer, and what differs is printed.

    Example: `deepdive import brevitas.onnx -o net.onnx`
    """
    from deepdive.qnet.importers import import_network

    imported = import_network(source, repair=repair, keep_bits=keep_bits)
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
