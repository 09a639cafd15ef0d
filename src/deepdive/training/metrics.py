"""Metrics of a training on disk: a line of JSON for each epoch, and the same for TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from deepdive.files import write_text
from deepdive.training.tensorboard import write_events

FILE_NAME = "metrics.jsonl"


def write_metrics(folder: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write the rows of all epochs that are done.

    The files are small and written whole, so a killed and resumed training has each epoch exactly once in them.
    """
    write_text(folder / FILE_NAME, "".join(json.dumps(dict(row)) + "\n" for row in rows))
    write_events(folder, rows)
