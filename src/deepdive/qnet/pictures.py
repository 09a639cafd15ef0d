"""Folders of pictures, labelled or not: which files they hold and which class each one shows."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from deepdive.errors import DeepDiveError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm"})


@dataclass(frozen=True)
class Picture:
    """One image file; `label` is the index of its class, None when unknown."""

    path: Path
    label: int | None = None


def list_pictures(folder: str | Path, classes: tuple[str, ...] = ()) -> tuple[Picture, ...]:
    """The pictures of a folder, in order of their names.

    Parameters
    ----------
    folder
        Holds `labels.csv` (columns file,label; label is a class index or a name in `classes`), or one folder a class
        (sorted names are the classes), or just pictures (then without labels).
    classes
        Names of the classes in order of the network's outputs.

    Raises
    ------
    DeepDiveError
        When there is no such folder, it holds no picture, or `labels.csv` names what does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DeepDiveError(f"There is no folder '{folder}'; name a folder of pictures.")
    table = folder / "labels.csv"
    if table.is_file():
        return read_table(table, classes)
    loose = tuple(Picture(path) for path in images_in(folder))
    if loose:
        return loose
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    found: list[Picture] = []
    for index, name in enumerate(names):
        paths = images_in(folder / name)
        if not paths:
            raise DeepDiveError(f"Class folder '{folder / name}' holds no picture; fill it or remove it.")
        found += [Picture(path, classes.index(name) if name in classes else index) for path in paths]
    if not found:
        raise DeepDiveError(f"'{folder}' holds no picture ({', '.join(sorted(SUFFIXES))}); name another folder.")
    return tuple(found)


def images_in(folder: Path) -> list[Path]:
    """Image files directly in `folder`, sorted."""
    return sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in SUFFIXES)


def read_table(table: Path, classes: tuple[str, ...]) -> tuple[Picture, ...]:
    """The pictures that a `labels.csv` lists; none may lie outside its folder."""
    try:
        with table.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DeepDiveError(f"Cannot read '{table}' ({error}); want CSV with the columns file,label.") from None
    if not rows or not {"file", "label"} <= set(rows[0]):
        raise DeepDiveError(f"'{table}' needs the columns file,label and at least one row.")
    pictures = []
    for number, row in enumerate(rows, start=2):
        path = table.parent / (row["file"] or "")
        if not path.resolve().is_relative_to(table.parent.resolve()) or not path.is_file():
            raise DeepDiveError(f"'{table}', line {number}: there is no picture '{row['file']}' in its folder.")
        pictures.append(Picture(path, class_index(row["label"] or "", classes, f"'{table}', line {number}")))
    return tuple(pictures)


def class_index(label: str, classes: tuple[str, ...], where: str) -> int:
    """A class by its index or its name."""
    if label.isascii() and label.isdigit():
        return int(label)
    if label in classes:
        return classes.index(label)
    raise DeepDiveError(f"{where}: '{label[:80]}' is neither a class index nor a class name of the network.")
