"""A sweep of candidates as one HTML page: accuracy against frames a second and watts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from deepdive.files import write_text
from deepdive.report.page import div
from deepdive.report.plots import KIND_COLOURS, LAYOUT


def write_codesign_page(result: Mapping[str, Any], path: str | Path) -> None:
    """Write the page of a sweep's result (the values of its JSON file), whole or not at all."""
    environment = Environment(loader=PackageLoader("deepdive.report"), autoescape=True, undefined=StrictUndefined)
    rows = [{**one, "name": name(one["candidate"])} for one in result["outcomes"]]
    refused = [{**one, "name": name(one["candidate"])} for one in result["refused"]]
    page = environment.get_template("codesign.html.j2").render(
        result=result, rows=rows, refused=refused, plotly_js=get_plotlyjs(), plot=div(front(rows), "codesign")
    )
    write_text(path, page)


def name(candidate: Mapping[str, Any]) -> str:
    """A candidate in a few letters."""
    return (
        f"{candidate['model']}-{candidate['width']:g}-{candidate['resolution']} "
        f"W{candidate['weights']}A{candidate['activations']}"
    )


def front(rows: list[dict[str, Any]]) -> go.Figure:
    """Accuracy over FPS, the size of a dot its watts; those on the front joined by a line."""
    figure = go.Figure()
    for label, on_front, colour in (("others", False, "#b0b8c0"), ("Pareto front", True, KIND_COLOURS["body"])):
        shown = sorted((one for one in rows if one["front"] == on_front), key=lambda one: one["fps"])
        figure.add_scatter(
            x=[one["fps"] for one in shown],
            y=[100 * one["accuracy"] for one in shown],
            mode="lines+markers" if on_front else "markers",
            name=label,
            line={"dash": "dot", "color": colour},
            marker={"size": [8 + 2 * one["power_w"] for one in shown], "color": colour},
            customdata=[[one["name"], one["power_w"]] for one in shown],
            hovertemplate="%{customdata[0]}<br>%{y:.1f} %, %{x:,.0f} FPS, %{customdata[1]:.2f} W<extra></extra>",
        )
    figure.update_layout(**LAYOUT, height=380)
    figure.update_xaxes(title="FPS (modelled)", type="log")
    figure.update_yaxes(title="accuracy, %")
    return figure
