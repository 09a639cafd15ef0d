"""The power model against what others published: the table of docs/power.md, with every deviation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deepdive.hardware.published import PUBLISHED, Published

DOCS = Path(__file__).resolve().parents[2] / "docs" / "power.md"


def row(one: Published) -> str:
    """As the table of docs/power.md has it."""
    value, low, high = one.modelled
    cells = (one.name, one.how, one.boundary, f"{one.watts:.2f}", f"{value:.2f} ({low:.2f}-{high:.2f})")
    return "| " + " | ".join((*cells, f"{one.deviation:+.0%}", one.remark)) + " |"


def test_the_table_in_the_docs_is_the_models() -> None:
    lines = [line for line in DOCS.read_text().splitlines() if re.match(r"\| .* \| [+-]\d+% \|", line)]
    assert lines == [row(one) for one in PUBLISHED]


@pytest.mark.parametrize("one", PUBLISHED, ids=lambda one: one.name)
def test_published_watts_lie_in_the_error_bar_or_are_said_not_to(one: Published) -> None:
    _, low, high = one.modelled
    inside = low <= one.watts <= high
    assert inside or "four times as large" in one.remark
    assert one.source
