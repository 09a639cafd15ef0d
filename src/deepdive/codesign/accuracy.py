"""How accurate a candidate is: looked up in a table that the user measured, or computed by a function of the user's."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from deepdive.codesign.space import Candidate
from deepdive.errors import DeepDiveError
from deepdive.models.custom import find_object

MAX_FILE_BYTES = 1 << 24
COLUMNS = tuple(Candidate.model_fields)


class Row(BaseModel):
    """One line of a table: what a candidate must be, and its accuracy; a field that is not given fits every value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = None
    width: float | None = None
    resolution: int | None = None
    weights: int | None = None
    activations: int | None = None
    accuracy: float

    def fits(self, candidate: Candidate) -> bool:
        """Whether the row speaks of the candidate."""
        return all(getattr(self, name) in (None, getattr(candidate, name)) for name in COLUMNS)


class AccuracyTable(BaseModel):
    """Rows that a user measured; `source` names the file in messages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["table"] = "table"
    source: str
    rows: tuple[Row, ...] = Field(min_length=1)

    def of(self, candidate: Candidate) -> float:
        """Accuracy of a candidate; DeepDiveError when no row, or rows that disagree, speak of it."""
        found = {row.accuracy for row in self.rows if row.fits(candidate)}
        if len(found) != 1:
            what = "no row" if not found else f"{len(found)} rows that disagree"
            raise DeepDiveError(f"Table '{self.source}' has {what} for {candidate}; give exactly one accuracy for it.")
        return found.pop()


class EntryPoint(BaseModel):
    """A function of the user's, `package.module:function`, called with a Candidate; it returns an accuracy, 0..1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["function"] = "function"
    name: str

    def of(self, candidate: Candidate) -> float:
        """What the function returns; DeepDiveError when there is none, when it fails, or gives no share of 0..1."""
        function = find_object(self.name)
        if not callable(function):
            raise DeepDiveError(f"'{self.name}' is of type {type(function).__name__}; name a function.")
        try:
            found = float(function(candidate))
        except Exception as error:  # a user's function may fail in any way
            raise DeepDiveError(f"'{self.name}' failed for {candidate}: {type(error).__name__}: {error}.") from error
        if not 0 <= found <= 1:
            raise DeepDiveError(f"'{self.name}' gave {found} for {candidate}; an accuracy is a share of 0..1.")
        return found


def read_table(path: str | Path) -> AccuracyTable:
    """Read a CSV file with a header, or a JSON list of objects: `accuracy` and any of a Candidate's fields.

    Raises
    ------
    DeepDiveError
        When the file cannot be read, has no rows, or holds an unknown column or a value that cannot be; with its line.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise DeepDiveError(f"Cannot read table '{path}': {(error.strerror or str(error)).lower()}.") from None
    except UnicodeDecodeError:
        raise DeepDiveError(f"Table '{path}' is no text.") from None
    if len(data) > MAX_FILE_BYTES:
        raise DeepDiveError(f"'{path}' is larger than {MAX_FILE_BYTES} bytes; that is no table of accuracies.")
    records = json_records(path, text) if path.suffix == ".json" else list(csv.DictReader(text.splitlines()))
    if not records:
        raise DeepDiveError(f"Table '{path}' has no rows; give one a candidate: {', '.join((*COLUMNS, 'accuracy'))}.")
    rows = tuple(row(path, number, record) for number, record in enumerate(records, start=1))
    return AccuracyTable(source=str(path), rows=rows)


def json_records(path: Path, text: str) -> list[dict[str, Any]]:
    """The objects of a JSON list."""
    try:
        found = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise DeepDiveError(f"Table '{path}' is no JSON ({error}).") from None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise DeepDiveError(f"Table '{path}' is no list of objects; write one object a row.")
    return found


def row(path: Path, number: int, record: dict[Any, Any]) -> Row:
    """One row, checked."""
    unknown = [str(name) for name in record if name not in (*COLUMNS, "accuracy")]
    if unknown:
        raise DeepDiveError(
            f"Table '{path}', row {number}: unknown column '{unknown[0]}'; the columns are "
            f"{', '.join((*COLUMNS, 'accuracy'))}."
        )
    values: dict[str, Any] = {}
    for name, value in record.items():
        if value in (None, ""):
            continue
        try:
            values[name] = str(value) if name == "model" else number_of(name, value)
        except (TypeError, ValueError):
            raise DeepDiveError(f"Table '{path}', row {number}: {name} '{value}' is no number.") from None
    accuracy = values.get("accuracy")
    if accuracy is None or not (math.isfinite(accuracy) and 0 <= accuracy <= 1):
        raise DeepDiveError(f"Table '{path}', row {number}: accuracy is {accuracy}; want a share of 0..1.")
    return Row(**values)


def number_of(name: str, value: Any) -> float | int:
    """A width or accuracy, or a whole number."""
    if name in ("width", "accuracy"):
        return float(value)
    whole = float(value)
    if whole != int(whole):
        raise ValueError(value)
    return int(whole)
