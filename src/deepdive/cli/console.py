"""What every command shares: where words go, progress bars, JSON, and errors without a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

out = Console()
"""For results."""
words = Console(stderr=True)
"""For progress and errors, so that `--json` leaves nothing but JSON on standard output."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of words.")]


def print_json(value: Any) -> None:
    """One JSON object on standard output, unwrapped and uncoloured."""
    print(json.dumps(value, indent=2))


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[..., None]]:
    """Show a bar while something long runs; call the yielded function after each step, with a word on it if any."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=words, transient=True, disable=not words.is_terminal) as bar:
        task = bar.add_task(what, total=total)

        def step(detail: str = "", *, done: int | None = None, of: int | None = None) -> None:
            description = f"{what} {detail}".strip()
            if done is None:
                bar.update(task, advance=1, description=description)
            else:
                bar.update(task, completed=done, total=of, description=description)

        yield step
