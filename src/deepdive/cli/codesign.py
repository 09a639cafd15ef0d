"""The command that sweeps networks, widths, resolutions and bits against a board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from deepdive.cli.console import Json, out, print_json, progress


def codesign(
    model: Annotated[
        list[str], typer.Option(help="A name of `deepdive models`, or package.module:callable; as often as you like.")
    ],
    board: Annotated[str, typer.Option(help="A board of `deepdive boards`, or your own TOML file.")],
    accuracy: Annotated[
        Path, typer.Option(help="CSV or JSON: `accuracy` (0..1) by model, width, resolution, weights, activations.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")],
    width: Annotated[list[float] | None, typer.Option(help="Width multiplier; as often as you like.")] = None,
    resolution: Annotated[list[int] | None, typer.Option(help="Pixels a side; as often as you like.")] = None,
    weights: Annotated[list[int] | None, typer.Option(help="Bits of the weights; as often as you like.")] = None,
    activations: Annotated[list[int] | None, typer.Option(help="Bits of the activations.")] = None,
    max_utilization: Annotated[float | None, typer.Option(help="Share of the board's resources, 0..1.")] = None,
    max_power_w: Annotated[float | None, typer.Option(help="Watts that a design may draw.")] = None,
    max_latency_ms: Annotated[float | None, typer.Option(help="Milliseconds that a frame may take.")] = None,
    dsp_instances: Annotated[
        bool, typer.Option("--dsp-instances", help="Designs for `compile --backend rtl --dsp-instances`.")
    ] = False,
    trials: Annotated[int, typer.Option(min=1, help="Candidates to try at most.")] = 100,
    jobs: Annotated[int, typer.Option(min=1, help="Processes of this machine.")] = 1,
    storage: Annotated[
        str | None, typer.Option(help="Journal file or database URL that machines share; OUTPUT/trials.log by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find which network, width, resolution and bits serve best on a board: accuracy against FPS and W.

    Stopped, it goes on where it was when run again; several machines may work on one storage.

    Example: `deepdive codesign --model mobilenet_v2 --weights 4 --weights 8 --board zcu102 --accuracy t.csv -o sweep/`
    """
    from pydantic import ValidationError

    from deepdive.codesign import Space, Sweep, read_table, run
    from deepdive.compiler.budget import budget_of
    from deepdive.errors import DeepDiveError
    from deepdive.hardware.boards import load_board
    from deepdive.report.codesign import write_codesign_page

    given: dict[str, Any] = {"width": width, "resolution": resolution, "weights": weights, "activations": activations}
    try:
        space = Space(model=tuple(model), **{name: tuple(values) for name, values in given.items() if values})
    except ValidationError as error:
        raise DeepDiveError(f"Cannot sweep that: {error.errors()[0]['msg'].removeprefix('Value error, ')}.") from None
    sweep = Sweep(
        space=space,
        board=load_board(board),
        budget=budget_of(max_utilization, max_power_w, max_latency_ms),
        accuracy=read_table(accuracy),
        dsp_instances=dsp_instances,
        trials=trials,
    )
    with progress("sweeping") as step:
        result = run(
            sweep, storage or output / "trials.log", jobs=jobs, progress=lambda done, of: step(done=done, of=of)
        )
    result.save(output / "codesign.json")
    write_codesign_page(result.model_dump(mode="json"), output / "codesign.html")
    if as_json:
        print_json(result.model_dump(mode="json"))
        return
    table = Table(title=f"Candidates on {result.board} ({result.label}; {result.boundary})", title_justify="left")
    table.add_column("candidate")
    for heading in ("accuracy", "FPS", "W", "front"):
        table.add_column(heading, justify="right")
    for one in result.outcomes:
        cells = (f"{one.accuracy:.1%}", f"{one.fps:,.0f}", f"{one.power_w:.2f}", "yes" if one.front else "")
        table.add_row(str(one.candidate), *cells)
    out.print(table)
    for refused in result.refused:
        out.print(f"{refused.candidate}: {refused.reason}")
    out.print(f"Wrote {output / 'codesign.json'} and {output / 'codesign.html'}")
