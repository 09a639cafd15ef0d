"""Commands for networks from and to elsewhere: import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deepdive.cli.console import Json, out, print_json

Output = Annotated[Path, typer.Option("--output", "-o", help="The ONNX file to write.")]


def import_(
    source: Annotated[
        Path,
        typer.Argument(metavar="FILE_OR_FOLDER", help="The parameter folder of the paper's published MobileNetV2."),
    ],
    output: Output,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend the known defects of the paper's published network.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Turn a network from elsewhere into an integer network.

    Example: `deepdive import data/ -o net.onnx`
    """
    from deepdive.qnet.importers import import_network

    imported = import_network(source, repair=repair)
    net = imported.net
    net.save(output)
    if as_json:
        facts = {"file": str(output), "source": imported.source, "nodes": len(net.nodes), "macs": net.macs()}
        print_json(facts | {"notes": imported.notes})
        return
    out.print(f"Wrote {output}: {imported.source}, {len(net.nodes)} operators, {net.macs() / 1e6:.1f} million MACs.")
    for note in imported.notes:
        out.print(f"- {note}")
