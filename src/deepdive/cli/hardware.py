"""Commands of the hardware wing: boards, compile, simulate, verify, report."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from rich.table import Table

from deepdive.cli.console import Json, out, print_json, progress
from deepdive.errors import DeepDiveError
from deepdive.qnet import QNet

BuildFolder = Annotated[Path, typer.Argument(metavar="BUILD", help="The folder that `deepdive compile` wrote.")]
Images = Annotated[list[Path], typer.Option(help="A picture, or a folder of them; give it as often as you like.")]


class Objective(StrEnum):
    """What the compiler looks for."""

    fps = "fps"
    fps_per_watt = "fps-per-watt"
    latency = "latency"
    min_resources = "min-resources"


class Sharing(StrEnum):
    """Whether blocks may share a compute unit."""

    auto = "auto"
    never = "never"
    always = "always"


class Engine(StrEnum):
    """What can run a project."""

    csim = "csim"
    bounded = "bounded"
    rtl = "rtl"


class Backpressure(StrEnum):
    """Whether the ends of an RTL simulation pause."""

    none = "none"
    random = "random"


RANDOM_PAUSE = 64
"""Of 256 cycles, at either end."""


class Backend(StrEnum):
    """What is written."""

    hls = "hls"
    rtl = "rtl"


def boards(as_json: Json = False) -> None:
    """List the boards that DeepDive knows; your own is one more TOML file."""
    from deepdive.hardware.boards import board_names, load_board

    known = [load_board(name) for name in board_names()]
    if as_json:
        print_json([board.model_dump(mode="json") for board in known])
        return
    table = Table()
    for heading in ("name", "board", "device"):
        table.add_column(heading)
    for heading in ("MHz", "DSP", "LUT", "FF", "BRAM36", "URAM"):
        table.add_column(heading, justify="right")
    for board in known:
        has = board.resources
        counts = (board.clock_mhz, has.dsp, has.lut, has.ff, has.bram36, has.uram)
        table.add_row(board.name, board.title, board.part, *(f"{count:,g}" for count in counts))
    out.print(table)


def clock_of(text: str | None) -> float | Literal["auto"] | None:
    """A clock from the command line."""
    if text is None or text == "auto":
        return "auto" if text else None
    try:
        return float(text)
    except ValueError:
        raise DeepDiveError(f"Clock '{text}' is neither a number of MHz nor 'auto'.") from None


def compile_(
    net: Annotated[Path, typer.Argument(help="An integer network: the ONNX file of `deepdive quantize`.")],
    board: Annotated[str, typer.Option(help="A board of `deepdive boards`, or your own TOML file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The build folder to write.")],
    clock: Annotated[
        str | None,
        typer.Option(metavar="MHZ|auto", help="The board's own when not given; auto: that or a slower one."),
    ] = None,
    objective: Annotated[Objective, typer.Option(help="What to look for.")] = Objective.fps,
    target_fps: Annotated[float | None, typer.Option(help="Frames a second that suffice.")] = None,
    max_utilization: Annotated[
        float | None, typer.Option(help="Share of each of the board's resources that may be taken, 0..1.")
    ] = None,
    max_power_w: Annotated[
        float | None, typer.Option(help="Watts that it may draw: logic, memory traffic and processing system.")
    ] = None,
    max_latency_ms: Annotated[float | None, typer.Option(help="Milliseconds that a frame may take.")] = None,
    sharing: Annotated[
        Sharing, typer.Option(help="Blocks that share a compute unit: where that is faster or nothing else fits.")
    ] = Sharing.auto,
    pareto: Annotated[
        Path | None, typer.Option(help="Write the front of FPS, W, latency and resources to this JSON file too.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what sets the frame interval, and what twice the speed would take.")
    ] = False,
    backend: Annotated[Backend, typer.Option(help="C++ for Vitis HLS, or plain Verilog.")] = Backend.hls,
    dsp_instances: Annotated[
        bool,
        typer.Option(
            "--dsp-instances", help="RTL: multipliers are the board's DSP48E1 or DSP48E2, and sum in cascades."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Fit a network to a board and write the C++ or the Verilog project.

    Example: `deepdive compile net.onnx --board zcu102 -o build/`
    """
    from deepdive.backends.build import write_build
    from deepdive.backends.writers import writers
    from deepdive.compiler.budget import budget_of
    from deepdive.compiler.compile import compile as compile_network
    from deepdive.compiler.explain import explain as explain_design
    from deepdive.compiler.front import FILE as FRONT
    from deepdive.compiler.front import find_front
    from deepdive.qnet.onnx_file import load
    from deepdive.report import Report, print_design, print_front

    if dsp_instances and backend is not Backend.rtl:
        raise DeepDiveError(f"Backend '{backend.value}' has no instances of DSPs; use --backend rtl.")
    fill = writers(backend.value)
    network = load(net)
    budget = budget_of(max_utilization, max_power_w, max_latency_ms)
    with progress("searching"):
        design = compile_network(
            network,
            board=board,
            clock_mhz=clock_of(clock),
            objective=objective.value,
            target_fps=target_fps,
            budget=budget,
            sharing=sharing.value,
            dsp_instances=dsp_instances,
        )
        found = explain_design(network, design, budget) if explain else None
        front = find_front(network, design, budget) if pareto else None
    with progress("writing"):
        write_build(design, network, output, fill)
        if front and pareto:
            front.save(output / FRONT)
            front.save(pareto)
    if as_json:
        more = {"explanation": found.summary()} if found else {}
        print_json({**design.summary(), **more, **({"front": front.model_dump(mode="json")} if front else {})})
        return
    print_design(Report(network, design), out)
    if front:
        print_front(front, out)
    for line in found.lines if found else ():
        out.print(line)
    out.print(f"Wrote {output}; check it with: deepdive verify {output} --images PICTURES")


def simulate(
    build: BuildFolder,
    images: Images,
    engine: Annotated[Engine, typer.Option(help="What runs the project.")] = Engine.csim,
    backpressure: Annotated[Backpressure, typer.Option(help="RTL: let source and sink pause.")] = Backpressure.none,
    seed: Annotated[int, typer.Option(help="RTL: of the pauses.", min=0, max=2**32 - 1)] = 1,
    waveform: Annotated[Path | None, typer.Option(help="RTL: write a waveform to this .vcd file.")] = None,
    unit: Annotated[str | None, typer.Option(help="Waveform of this unit alone.")] = None,
    cycles_shown: Annotated[
        tuple[int, int], typer.Option("--cycles", help="Waveform from this clock cycle to that.")
    ] = (0, 2000),
    as_json: Json = False,
) -> None:
    """Run the emitted project on pictures and show what it classifies; `verify` also compares every value.

    Engine `bounded` is C simulation with all stages side by side and FIFOs as deep as in hardware: a deadlock is named.

    RTL simulation also counts cycles: its pictures enter back to back.
    """
    from deepdive.backends.build import read_build
    from deepdive.qnet.classify import best
    from deepdive.simulation.engines import runner

    run = runner(engine)
    if waveform and engine is not Engine.rtl:
        raise DeepDiveError(f"Engine {engine.value} has no waveforms; use --engine rtl.")
    project = read_build(build)
    paths, codes = pictures(images, project.net)
    cycles = None
    with progress("simulating") as step:
        if engine is Engine.rtl:
            from deepdive.simulation.bench import Run
            from deepdive.simulation.rtl import simulate_build
            from deepdive.simulation.waveform import Waveform

            pause = RANDOM_PAUSE if backpressure is Backpressure.random else 0
            wave = Waveform(waveform, unit, *cycles_shown) if waveform else None
            cycles = simulate_build(project, codes, Run(len(codes), seed, pause, pause, waveform=wave), step)
        maps = cycles.maps if cycles else run(project, codes, step)
    logits = project.net.output.dequantize(maps[project.net.output.name])[:, 0, 0, :]
    found = {str(path): best(values, project.net.labels) for path, values in zip(paths, logits, strict=True)}
    if as_json:
        print_json({name: [vars(guess) for guess in guesses] for name, guesses in found.items()})
        return
    for name, guesses in found.items():
        out.print(f"[bold]{Path(name).name}[/]  " + ", ".join(f"{g.label} {g.probability:.0%}" for g in guesses))
    if cycles:
        modelled = project.design
        out.print(
            f"One frame every {cycles.frame_interval_cycles:,} cycles (model {modelled.frame_interval_cycles:,}), "
            f"first frame after {cycles.latency_cycles:,} (model {modelled.latency_cycles:,}); simulated."
        )
        if len(codes) < cycles.steady_frames:
            out.print(f"The pipeline was never full; {cycles.steady_frames} pictures or more show its pace.")
        for count, stage, why in cycles.longest_stalls[:5]:
            out.print(f"{count:>12,} cycles  {stage} {why}")


def synthesise(
    build: BuildFolder,
    unit: Annotated[list[str] | None, typer.Option(help="Only this unit; give it as often as you like.")] = None,
    as_json: Json = False,
) -> None:
    """Count the primitives of a Verilog project by open synthesis, unit by unit, beside the model's figures."""
    from deepdive.backends.build import read_build
    from deepdive.simulation.synthesis import family_of
    from deepdive.simulation.synthesis import synthesise as count

    project = read_build(build)
    family = family_of(project.design.board.part)
    with progress("synthesising") as step:
        found = count(project.path / "rtl", project.design, family=family, units=tuple(unit or ()), progress=step)
    modelled = {part.name: part.rtl_resources for part in project.design.units}
    if as_json:
        print_json(
            {
                name: {
                    "synthesised": part.resources.model_dump(),
                    "modelled": modelled[name].model_dump(),
                    "logic_depth": part.logic_depth,
                    "longest_path": part.longest_path,
                    "parts": {inner: used.model_dump() for inner, used in part.parts.items()},
                }
                for name, part in found.items()
            }
        )
        return
    table = Table(title="synthesised by Yosys (LUT and FF are upper bounds) / modelled")
    table.add_column("unit")
    for heading in ("DSP", "LUT", "FF", "BRAM36", "LUT levels"):
        table.add_column(heading, justify="right")
    for name, part in found.items():
        pairs = zip(part.resources.model_dump().values(), modelled[name].model_dump().values(), strict=True)
        cells = [f"{synthesised:,g} / {model:,g}" for synthesised, model in pairs]
        table.add_row(name, *cells[:4], str(part.logic_depth))
    out.print(table)


def verify(build: BuildFolder, images: Images, as_json: Json = False) -> None:
    """Compare every value of ONNX Runtime and of the C++ units with the reference; exit code 1 if any differs."""
    from deepdive.backends.build import read_build
    from deepdive.report import print_verification
    from deepdive.simulation.verify import verify as climb

    project = read_build(build)
    _, codes = pictures(images, project.net)
    with progress("verifying") as step:
        found = climb(project, codes, step)
    if as_json:
        print_json(found.model_dump())
    else:
        print_verification(found, out)
    found.check()


def report(
    build: BuildFolder,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page; BUILD/report.html by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a build: figures in the terminal, and a self-contained HTML page."""
    from deepdive.backends.build import read_build
    from deepdive.compiler.front import FILE as FRONT
    from deepdive.compiler.front import Front
    from deepdive.report import (
        Report,
        load_synthesis,
        print_design,
        print_front,
        print_schedule,
        print_synthesis,
        print_verification,
        write_page,
    )
    from deepdive.simulation.verify import load_verification

    project = read_build(build)
    front = Front.load(build / FRONT) if (build / FRONT).exists() else None
    if front and front.fingerprint != project.design.fingerprint:
        front = None  # of another network
    shown = Report(
        project.net, project.design, load_verification(project), front=front, synthesis=load_synthesis(project)
    )
    page = output or build / "report.html"
    write_page(shown, page)
    if as_json:
        print_json({**shown.summary(), "page": str(page)})
        return
    print_design(shown, out)
    if front:
        print_front(front, out)
    print_schedule(shown, out)
    print_synthesis(shown, out)
    if shown.verification:
        print_verification(shown.verification, out)
    out.print(f"Wrote {page}; open it in a browser")


def pictures(given: list[Path], net: QNet) -> tuple[list[Path], np.ndarray]:
    """The image files among `given` files and folders, and their input codes."""
    from deepdive.qnet.pictures import list_pictures
    from deepdive.qnet.preprocess import read_images

    if net.preprocess is None:
        raise DeepDiveError(f"'{net.name}' does not say how pictures become its input; quantize it with a preprocess.")
    paths = [found for path in given for found in ([p.path for p in list_pictures(path)] if path.is_dir() else [path])]
    return paths, read_images(paths, net.preprocess)
