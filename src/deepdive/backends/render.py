"""Fills the templates of projects."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

ROOMS = ("vitis", "vivado")


@cache
def environment() -> Environment:
    """The templates; an unknown name in one is an error. Made when needed: the loaders import what imports this."""
    return Environment(
        loader=ChoiceLoader([PackageLoader(f"deepdive.backends.{room}") for room in ROOMS]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def render(template: str, path: Path, **values: object) -> None:
    """Fill a template into a file."""
    path.write_text(environment().get_template(f"{template}.jinja").render(**values), encoding="utf-8")
