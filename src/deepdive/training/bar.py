"""The progress bar of a training: loss, accuracy, time left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@dataclass(frozen=True)
class Standing:
    """How a training stands after a step; `epoch` and `step` count from 1, loss and accuracy are of this epoch."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    test_accuracy: float | None = None  # of the last epoch that was tested


class Watcher:
    """Is told how a training goes; shows nothing by itself."""

    def step(self, standing: Standing) -> None:
        """Called after each step, in the main process."""

    def decode(self, done: int, of: int) -> None:
        """Called after each image that is decoded, before the training starts."""

    def say(self, words: str) -> None:
        """A sentence that should not be overlooked."""


class Bar(Watcher):
    """Shows a progress bar on a terminal."""

    def __init__(self, bar: Progress) -> None:
        self.bar = bar
        self.task = bar.add_task("training", total=None, what="")

    def step(self, standing: Standing) -> None:
        tested = "" if standing.test_accuracy is None else f"  test {standing.test_accuracy:.2%}"
        self.bar.update(
            self.task,
            total=standing.epochs * standing.steps,
            completed=(standing.epoch - 1) * standing.steps + standing.step,
            description=f"epoch {standing.epoch}/{standing.epochs}",
            what=f"loss {standing.loss:.3f}  accuracy {standing.accuracy:.2%}{tested}",
        )

    def decode(self, done: int, of: int) -> None:
        self.bar.update(self.task, total=of, completed=done, description="decoding images")

    def say(self, words: str) -> None:
        self.bar.console.print(words)


@contextmanager
def progress_bar(console: Console | None = None) -> Iterator[Watcher]:
    """A bar on standard error while the block runs; only in the first process of a torchrun."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[what]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
    )
    is_main = os.environ.get("RANK", "0") == "0"
    shown = console or Console(stderr=True)
    with Progress(*columns, console=shown, speed_estimate_period=120, disable=not is_main) as bar:
        yield Bar(bar)
