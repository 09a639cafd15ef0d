"""Image folders and tar files as sources to decode: which images they hold, of which classes."""

from __future__ import annotations

import csv
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from deepdive.errors import DeepDiveError
from deepdive.qnet.pictures import SUFFIXES, list_pictures
from deepdive.training.decode import Encoded, Source

MAX_FILE_BYTES = 64 << 20
"""A larger image file is left unread and counted as skipped."""
MAX_FILES = 20_000_000


def folder_source(folder: Path) -> Source:
    """A folder with one folder a class, or with `labels.csv` (its labels are class indices or names).

    Raises
    ------
    DeepDiveError
        When there is no such folder, it is empty, a class has no image, or images have no class.
    """
    table = folder / "labels.csv"
    names = table_classes(table) if table.is_file() else folder_classes(folder)
    pictures = list_pictures(folder, names)
    unlabelled = next((one.path.name for one in pictures if one.label is None), None)
    if unlabelled is not None:
        raise DeepDiveError(f"'{folder}' holds images without a class ('{unlabelled}'); put one folder a class in it.")
    labels = [one.label for one in pictures if one.label is not None]
    classes = names or tuple(str(index) for index in range(max(labels) + 1))
    stats = [one.path.stat() for one in pictures]
    stamp = repr([(str(one.path), one.label, s.st_size, s.st_mtime_ns) for one, s in zip(pictures, stats, strict=True)])

    def images() -> Iterator[Encoded]:
        for picture, label in zip(pictures, labels, strict=True):
            yield Encoded(str(picture.path.relative_to(folder)), label, picture.path)

    return Source(str(folder), stamp, classes, len(pictures), images)


def folder_classes(folder: Path) -> tuple[str, ...]:
    """The names of the class folders, sorted."""
    if not folder.is_dir():
        raise DeepDiveError(f"There is no folder '{folder}'; name a folder of images.")
    return tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))


def table_classes(table: Path) -> tuple[str, ...]:
    """The class names that a `labels.csv` uses, sorted; none when its labels are indices."""
    with table.open(newline="", encoding="utf-8", errors="replace") as stream:
        labels = {row.get("label") or "" for row in csv.DictReader(stream)}  # list_pictures judges the table itself
    return () if all(label.isascii() and label.isdigit() for label in labels) else tuple(sorted(labels))


def tar_source(path: Path) -> Source:
    """A tar file of images whose class is the folder they lie in: `[anything/]CLASS/NAME.jpg`.

    Nothing is extracted: members are read in place, so no name in the archive can reach the file system. Only regular
    files with the suffix of an image count, and none above 64 MB is read.

    Raises
    ------
    DeepDiveError
        When there is no such file, it is no tar file, holds no image, or has a class folder without images.
    """
    members = list(image_members(path))
    if not members:
        raise DeepDiveError(f"'{path}' holds no image in a class folder (CLASS/NAME.jpg); name another tar file.")
    classes = tuple(sorted({class_of(member) for member in members}))
    index = {name: number for number, name in enumerate(classes)}
    stat = path.stat()
    stamp = repr((str(path.resolve()), stat.st_size, stat.st_mtime_ns))

    def images() -> Iterator[Encoded]:
        with tarfile.open(path) as archive:
            for member in members:
                content = b""
                if member.size <= MAX_FILE_BYTES:
                    stream = archive.extractfile(member)
                    content = stream.read(member.size) if stream else b""
                yield Encoded(member.name, index[class_of(member)], content)

    return Source(str(path), stamp, classes, len(members), images)


def image_members(path: Path) -> Iterator[tarfile.TarInfo]:
    """The image files of a tar file, in its own order."""
    folders: set[str] = set()
    filled: set[str] = set()
    try:
        with tarfile.open(path) as archive:
            for count, member in enumerate(archive):
                if count >= MAX_FILES:
                    raise DeepDiveError(f"'{path}' holds more than {MAX_FILES} files; split it.")
                name = PurePosixPath(member.name)
                if member.isdir():
                    folders.add(str(name))
                elif member.isfile() and name.suffix.lower() in SUFFIXES and len(name.parts) > 1:
                    filled.update(map(str, name.parents))
                    yield member
    except FileNotFoundError:
        raise DeepDiveError(f"There is no file '{path}'; name a tar file of images.") from None
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DeepDiveError(f"'{path}' is no readable tar file ({error}); is it complete?") from None
    empty = sorted(folders - filled)
    if empty and filled:
        raise DeepDiveError(f"Class folder '{empty[0]}' of '{path}' holds no image; fill it or remove it.")


def class_of(member: tarfile.TarInfo) -> str:
    """The name of the folder that a member lies in."""
    return PurePosixPath(member.name).parent.name
