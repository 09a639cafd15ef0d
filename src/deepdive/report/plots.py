"""The report's plots, as plotly figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from deepdive.report.report import Report

KIND_COLOURS = {"head": "#4c78a8", "body": "#f58518", "tail": "#54a24b", "classifier": "#b279a2"}
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


def order(figure: go.Figure, names: Sequence[str]) -> None:
    """Units along the x axis, in the order the data flows."""
    figure.update_layout(**LAYOUT, height=340)
    figure.update_xaxes(categoryorder="array", categoryarray=list(names), tickangle=-45)
