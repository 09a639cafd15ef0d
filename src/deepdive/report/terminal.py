"""The report in the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deepdive.compiler.front import Front
from deepdive.report.report import Classification, Report
from deepdive.simulation.verify import Verification


def print_design(report: Report, console: Console) -> None:
    """One row a compute unit, then the frame's totals."""
    design = report.design
    title = f"{report.net.name} on {design.board.name}, {design.clock_mhz:g} MHz (modelled)"
    table = narrow_table(title)
    table.add_column("unit")
    for heading in ("blocks", "MMACs", "weights KiB", "cycles", "use", "DSP", "LUT", "BRAM36"):
        table.add_column(heading, justify="right")
    for row in report.rows:
        used = row.resources
        table.add_row(
            row.name,
            *(str(len(row.blocks)), f"{row.macs / 1e6:.2f}", f"{row.weight_kib:.1f}", f"{row.cycles:,}"),
            *(f"{row.utilization:.0%}", f"{used.dsp:,}", f"{used.lut:,}", f"{used.bram36:g}"),
        )
    used, available = design.resources, design.board.resources
    weight_kib = sum(row.weight_kib for row in report.rows)
    table.add_section()
    table.add_row(
        "frame",
        *(str(len(report.net.nodes)), f"{report.net.macs() / 1e6:.2f}", f"{weight_kib:.1f}"),
        *(f"{design.frame_interval_cycles:,}", f"{design.mac_utilization:.0%}"),
        *(f"{used.dsp:,}", f"{used.lut:,}", f"{used.bram36:g}"),
    )
    board = (f"{available.dsp:,}", f"{available.lut:,}", f"{available.bram36:g}")
    table.add_row("board", *[""] * 5, *board, style="dim")
    console.print(table)
    console.print(totals(report))


def print_front(front: Front, console: Console) -> None:
    """One row a design of the front."""
    table = narrow_table(f"Pareto front at {front.clock_mhz:g} MHz (modelled; latency simulated)")
    for heading in ("FPS", "W", "FPS/W", "latency ms", "DSP", "LUT", "BRAM36", ""):
        table.add_column(heading, justify="right")
    for row in front.points:
        used = row.resources
        table.add_row(
            *(f"{row.fps:,.0f}", f"{row.power_w:.2f}", f"{row.fps / row.power_w:.0f}", f"{row.latency_ms:.3f}"),
            *(f"{used.dsp:,}", f"{used.lut:,}", f"{used.bram36:g}", "chosen" if row.chosen else ""),
        )
    console.print(table)


def print_schedule(report: Report, console: Console) -> None:
    """The schedule that came with the network beside ours; nothing if none came."""
    if not report.calls:
        return
    table = narrow_table("Beside the schedule that came with the network (cycles, modelled)")
    for heading in ("call", "slowest stage"):
        table.add_column(heading)
    for heading in ("weights", "theirs", "at most"):
        table.add_column(heading, justify="right")
    table.add_column("our units")
    table.add_column("ours", justify="right")
    for row in report.calls:
        call, units = row.call, ", ".join(unit.name for unit in row.units)
        numbers = (f"{call.weight_load_cycles:,}", f"{call.cycles:,}", f"{call.cycles_high:,}")
        table.add_row(escape(call.name), escape(call.bottleneck), *numbers, units, f"{row.cycles:,}")
    console.print(table)
    console.print(escape(report.schedules))


def narrow_table(title: str) -> Table:
    """A table of many columns that still fits 80 characters."""
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))


def totals(report: Report) -> str:
    """The frame in one sentence, each figure with its label."""
    design, figures = report.design, report.design.summary()
    power, logic = figures["power_w"], design.power.boundaries[1]
    latency_ms = design.latency_cycles / design.clock_mhz / 1e3
    return (
        f"One frame every {design.frame_interval_cycles:,} cycles: {design.fps:,.0f} FPS at {design.clock_mhz:g} MHz "
        f"on {design.board.name}, latency {latency_ms:.2f} ms; {power['value']:.1f} W "
        f"({power['low']:.1f} to {power['high']:.1f}; {power['boundary']}), "
        f"{figures['fps_per_watt']['value']:.0f} FPS/W; {logic.value:.1f} W ({logic.low:.1f} to {logic.high:.1f}; "
        f"{logic.boundary}), {design.fps / logic.value:.0f} FPS/W. "
        "All modelled, but for the latency, which a discrete-event simulation gives"
        f"{', and for what stands below as synthesised' if report.counted else '; nothing was synthesised'}."
    )


def print_synthesis(report: Report, console: Console) -> None:
    """What open synthesis counted, beside the model; nothing if it never ran."""
    if not report.counted:
        return
    table = narrow_table("Synthesised by Yosys / modelled (LUT is an upper bound)")
    table.add_column("unit")
    for heading in ("DSP", "LUT", "BRAM36", "LUT levels"):
        table.add_column(heading, justify="right")
    table.add_column("longest path")
    for name, ours, found in report.counted:
        theirs = found.resources
        counts = (f"{theirs.dsp:,} / {ours.dsp:,}", f"{theirs.lut:,} / {ours.lut:,}")
        memories = f"{theirs.bram36:g} / {ours.bram36:g}"
        table.add_row(name, *counts, memories, str(found.logic_depth), escape(found.longest_path))
    console.print(table)


def print_verification(verification: Verification, console: Console) -> None:
    """One row a rung of the ladder."""
    table = narrow_table("Verification: every value against the NumPy reference")
    for heading in ("engine", "proves"):
        table.add_column(heading)
    for heading in ("images", "maps", "values", "differing", "seconds"):
        table.add_column(heading, justify="right")
    for rung in verification.rungs:
        table.add_row(
            rung.engine,
            rung.proves,
            str(rung.images),
            str(rung.maps),
            f"{rung.values:,}",
            f"[{'red' if rung.differing else 'green'}]{rung.differing:,}[/]",
            f"{rung.seconds:.1f}",
        )
    console.print(table)
    for rung in verification.rungs:
        if rung.first_difference:
            console.print(f"[red]{rung.engine}: {rung.first_difference}[/]")


def print_classifications(classifications: tuple[Classification, ...], console: Console) -> None:
    """Float and integer top-5 side by side."""
    table = Table(title="What the networks see (softmax share)", title_justify="left")
    for heading in ("picture", "float network", "integer network"):
        table.add_column(heading)
    for item in classifications:
        for rank, guess in enumerate(item.integer):
            left = f"{item.float32[rank].probability:6.1%} {short(item.float32[rank].label)}" if item.float32 else ""
            table.add_row(item.name if rank == 0 else "", left, f"{guess.probability:6.1%} {short(guess.label)}")
        table.add_section()
    console.print(table)


def short(label: str) -> str:
    """The first of an ImageNet class's names."""
    return label.split(",")[0]
