"""The report as one HTML page that needs nothing but a browser."""

from __future__ import annotations

import base64
from pathlib import Path

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from deepdive.files import write_text
from deepdive.report import plots
from deepdive.report.peers import BOARD, PEERS
from deepdive.report.report import Report
from deepdive.report.terminal import short, totals


def write_page(report: Report, path: str | Path) -> None:
    """Write `report` to `path`, whole or not at all; scripts, plots and pictures are inside the file."""
    write_text(path, render(report))


def render(report: Report) -> str:
    """The page as text; every name of a stranger is escaped."""
    environment = Environment(loader=PackageLoader("deepdive.report"), autoescape=True, undefined=StrictUndefined)
    environment.filters["short"] = short
    environment.filters["data_url"] = data_url
    return environment.get_template("page.html.j2").render(
        report=report,
        summary=report.design.summary(),
        totals=totals(report),
        colours=plots.KIND_COLOURS,
        plotly_js=get_plotlyjs(),
        plots={
            "cycles": div(plots.cycles(report), "cycles"),
            "resources": div(plots.resources(report), "resources"),
            "work": div(plots.work(report), "work"),
            "power": div(plots.power(report), "power"),
            "roofline": div(plots.roofline(report), "roofline"),
            "timeline": div(plots.timeline(report), "timeline"),
            "front": div(plots.front(report.front), "front") if report.front else "",
        },
        peers=PEERS,
        peers_board=BOARD,
    )


def div(figure: go.Figure, name: str) -> str:
    """A plot as HTML, without the library."""
    html: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=f"plot-{name}",
        config={"displayModeBar": False, "responsive": True},
    )
    return html


def data_url(jpeg: bytes) -> str:
    """A picture as text for an <img>."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
