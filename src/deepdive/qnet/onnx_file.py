"""Saving a QNet to disk and loading it back."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from deepdive.errors import DeepDiveError
from deepdive.files import write_bytes
from deepdive.qnet.graph import QNet
from deepdive.qnet.onnx_reader import from_model
from deepdive.qnet.onnx_size import check_structure
from deepdive.qnet.onnx_writer import HEADER_KEY, to_model

MAX_FILE_BYTES = 512 << 20


def save(net: QNet, path: str | Path) -> None:
    """Write `net` as an ONNX model, whole or not at all.

    Raises
    ------
    DeepDiveError
        When the file cannot be written, or would be too large for `load`.
    """
    data = to_model(net).SerializeToString(deterministic=True)
    if len(data) > MAX_FILE_BYTES:
        raise DeepDiveError(f"Network '{net.name}' takes {len(data)} bytes; a file may have {MAX_FILE_BYTES}.")
    write_bytes(path, data)


def load(path: str | Path) -> QNet:
    """Read a file that `save` wrote; any other file is refused, whatever is in it.

    Raises
    ------
    DeepDiveError
        Naming the file, the node and the reason.
    """
    try:
        data = read_bytes(Path(path))
        check_structure(data)
        model = onnx.ModelProto.FromString(data)
        return from_model(model)
    except DecodeError:
        raise DeepDiveError(f"Cannot load '{path}': it is no ONNX model, or cut short or damaged.") from None
    except DeepDiveError as error:
        raise DeepDiveError(printable(f"Cannot load '{path}': {str(error).rstrip('.')}.")) from None


def is_own(path: str | Path) -> bool:
    """Whether a file says that it is an integer network of DeepDive; it may still be damaged."""
    try:
        data = read_bytes(Path(path))
        check_structure(data)
        return any(entry.key == HEADER_KEY for entry in onnx.ModelProto.FromString(data).metadata_props)
    except (DecodeError, DeepDiveError):
        return False


def read_bytes(path: Path) -> bytes:
    """The whole of a regular file of at most 512 MiB."""
    try:
        if not path.is_file():
            raise DeepDiveError("there is no such file; check the path" if not path.exists() else "it is no file")
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise DeepDiveError(f"it has {size} bytes; at most {MAX_FILE_BYTES} are read")
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise DeepDiveError(f"it cannot be read ({(error.strerror or str(error)).lower()})") from None


def printable(text: str) -> str:
    """`text` on one line and without control characters: names in a stranger's file reach the user's terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
