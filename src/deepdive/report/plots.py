"""The report's plots, as plotly figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from deepdive.compiler.front import Front
from deepdive.report import performance
from deepdive.report.report import Report

KIND_COLOURS = {"head": "#4c78a8", "body": "#f58518", "tail": "#54a24b", "classifier": "#b279a2"}
FRAME_COLOURS = ("#4c78a8", "#f58518", "#54a24b")
BELOW = {"orientation": "h", "y": -0.22, "x": 0, "yanchor": "top"}
LAYOUT: dict[str, Any] = {
    "template": "plotly_white",
    "margin": {"l": 10, "r": 10, "t": 10, "b": 10},
    "font": {"family": "system-ui, sans-serif", "size": 13},
    "legend": {"orientation": "h", "y": 1.12, "x": 0},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
}


def cycles(report: Report) -> go.Figure:
    """Cycles a frame of each unit, and the slowest one's as a line: the frame interval."""
    figure = go.Figure()
    for kind, colour in KIND_COLOURS.items():
        rows = [row for row in report.rows if row.kind == kind]
        if rows:
            figure.add_bar(
                x=[row.name for row in rows],
                y=[row.cycles for row in rows],
                name=kind,
                marker_color=colour,
                customdata=[row.bottleneck for row in rows],
                hovertemplate="%{x}: %{y:,} cycles<br>slowest stage: %{customdata}<extra></extra>",
            )
    interval = report.design.frame_interval_cycles
    figure.add_hline(
        y=interval, line_dash="dot", annotation_text=f"frame interval {interval:,}", annotation_position="top left"
    )
    order(figure, [row.name for row in report.rows])
    figure.update_yaxes(title="clock cycles a frame (modelled)", rangemode="tozero")
    return figure


def work(report: Report) -> go.Figure:
    """Multiplications a frame and weights of each unit."""
    names = [row.name for row in report.rows]
    figure = go.Figure()
    figure.add_bar(x=names, y=[row.macs / 1e6 for row in report.rows], name="million MACs a frame", offsetgroup=0)
    figure.add_bar(x=names, y=[row.weight_kib for row in report.rows], name="weights, KiB", offsetgroup=1, yaxis="y2")
    order(figure, names)
    figure.update_layout(
        yaxis={"title": "MMACs"}, yaxis2={"title": "KiB", "overlaying": "y", "side": "right", "showgrid": False}
    )
    return figure


def resources(report: Report) -> go.Figure:
    """Share of the board's primitives, stacked by unit."""
    available = report.design.board.resources
    kinds = [("DSP", "dsp"), ("LUT", "lut"), ("FF", "ff"), ("BRAM36", "bram36"), ("URAM", "uram")]
    kinds = [(label, field) for label, field in kinds if getattr(available, field)]
    figure = go.Figure()
    for row in report.rows:
        figure.add_bar(
            y=[label for label, _ in kinds],
            x=[100 * getattr(row.resources, field) / getattr(available, field) for _, field in kinds],
            name=row.name,
            orientation="h",
            customdata=[f"{getattr(row.resources, field):,g}" for _, field in kinds],
            hovertemplate=f"{row.name}: %{{customdata}} %{{y}} (%{{x:.1f}} %)<extra></extra>",
            marker_color=KIND_COLOURS.get(row.kind),
            marker_line={"width": 1, "color": "white"},
            showlegend=False,
        )
    figure.add_vline(x=100, line_color="#d62728", annotation_text="board", annotation_position="bottom right")
    figure.update_layout(barmode="stack", **LAYOUT, height=60 + 60 * len(kinds))
    figure.update_xaxes(title="per cent of the board (modelled)", rangemode="tozero")
    return figure


def power(report: Report) -> go.Figure:
    """Watts by part, from what leaks to what works."""
    drawn = report.design.power
    parts = {
        "processing system": drawn.ps_w,
        "leakage": drawn.static_w,
        "clocks": drawn.clock_w,
        "DSP": drawn.dsp_w,
        "LUT and FF": drawn.logic_w,
        "block RAM": drawn.ram_w,
        "external memory": drawn.memory_w,
    }
    figure = go.Figure()
    figure.add_bar(
        y=list(parts),
        x=list(parts.values()),
        orientation="h",
        text=[f"{watts:.2f} W" for watts in parts.values()],
        marker_color=KIND_COLOURS["head"],
        hovertemplate="%{y}: %{x:.3f} W<extra></extra>",
    )
    figure.update_layout(**LAYOUT, height=300)
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title="W (modelled)", rangemode="tozero")
    return figure


def roofline(report: Report) -> go.Figure:
    """Operations a second over operations a byte, below the roofs of memory and multipliers."""
    found = performance.roofline(report.design)
    every = [found.design, *found.units]
    low, high = min(one.operations_per_byte for one in every) / 2, max(one.operations_per_byte for one in every) * 2
    ridge = found.board_gops / found.memory_gb_s
    figure = go.Figure()
    xs = sorted({low, ridge, max(high, 2 * ridge)})
    figure.add_scatter(
        x=xs,
        y=[min(x * found.memory_gb_s, found.board_gops) for x in xs],
        mode="lines",
        name="board: memory, every DSP",
        line_color="#5c6b7a",
        hovertemplate="%{y:,.0f} GOPS<extra></extra>",
    )
    figure.add_scatter(
        x=[xs[0], xs[-1]],
        y=[found.design_gops] * 2,
        mode="lines",
        name="this design's multipliers",
        line={"color": KIND_COLOURS["body"], "dash": "dot"},
        hovertemplate="%{y:,.0f} GOPS<extra></extra>",
    )
    figure.add_scatter(
        x=[one.operations_per_byte for one in found.units],
        y=[one.gops for one in found.units],
        mode="markers",
        name="a unit, were its maps off chip",
        marker={"symbol": "circle-open", "size": 9, "color": KIND_COLOURS["head"]},
        text=[one.name for one in found.units],
        hovertemplate="%{text}: %{x:,.1f} operations a byte, %{y:,.1f} GOPS<extra></extra>",
    )
    figure.add_scatter(
        x=[found.design.operations_per_byte],
        y=[found.design.gops],
        mode="markers",
        name="the design",
        marker={"symbol": "star", "size": 15, "color": "#d62728"},
        hovertemplate="%{x:,.1f} operations a byte, %{y:,.1f} GOPS<extra></extra>",
    )
    figure.update_layout(**{**LAYOUT, "legend": BELOW}, height=460)
    figure.update_xaxes(title="operations a byte", type="log", dtick=1)
    figure.update_yaxes(title="GOPS (modelled)", type="log", dtick=1)
    return figure


def timeline(report: Report) -> go.Figure:
    """Which unit works on which frame when."""
    spans = performance.timeline(report.design, report.pipeline)
    to_ms = 1 / (report.design.clock_mhz * 1e3)
    figure = go.Figure()
    for frame, colour in zip(sorted({span.frame for span in spans}), FRAME_COLOURS, strict=False):
        shown = [span for span in spans if span.frame == frame]
        figure.add_bar(
            y=[span.unit for span in shown],
            x=[(span.end - span.start) * to_ms for span in shown],
            base=[span.start * to_ms for span in shown],
            orientation="h",
            name=f"frame {frame}",
            marker={"color": colour, "opacity": 0.75},
            customdata=[[span.start, span.end] for span in shown],
            hovertemplate="%{y}: cycles %{customdata[0]:,} to %{customdata[1]:,}<extra>" + f"frame {frame}</extra>",
        )
    figure.update_layout(barmode="overlay", **LAYOUT, height=120 + 22 * len(report.rows))
    figure.update_yaxes(autorange="reversed", tickfont_size=11)
    figure.update_xaxes(title="ms (simulated, discrete-event)", rangemode="tozero")
    return figure


def front(found: Front) -> go.Figure:
    """Watts over frames a second, with error bars; the chosen design marked."""
    figure = go.Figure()
    for name, chosen in (("other designs", False), ("this design", True)):
        points = [point for point in found.points if point.chosen == chosen]
        figure.add_scatter(
            x=[point.fps for point in points],
            y=[point.power_w for point in points],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [point.power_high_w - point.power_w for point in points],
                "arrayminus": [point.power_w - point.power_low_w for point in points],
                "thickness": 1,
            },
            mode="markers" if chosen else "lines+markers",
            name=name,
            line={"dash": "dot"},
            marker={
                "size": 15 if chosen else 9,
                "symbol": "star" if chosen else "circle",
                "color": "#d62728" if chosen else KIND_COLOURS["head"],
            },
            customdata=[
                [point.latency_ms, point.resources.dsp, point.resources.lut, point.resources.bram36] for point in points
            ],
            hovertemplate="%{x:,.0f} FPS, %{y:.2f} W<br>latency %{customdata[0]:.3f} ms<br>%{customdata[1]:,} DSP, "
            "%{customdata[2]:,} LUT, %{customdata[3]:g} BRAM36<extra></extra>",
        )
    figure.update_layout(**LAYOUT, height=360)
    figure.update_xaxes(title="FPS (modelled)", rangemode="tozero")
    figure.update_yaxes(title="W (modelled)", rangemode="tozero")
    return figure


def order(figure: go.Figure, names: Sequence[str]) -> None:
    """Units along the x axis, in the order the data flows."""
    figure.update_layout(**LAYOUT, height=340)
    figure.update_xaxes(categoryorder="array", categoryarray=list(names), tickangle=-45)
