"""NumPy array files of a stranger: plain numbers of a known shape, or refused before memory is taken."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from deepdive.errors import DeepDiveError

MAGIC = b"\x93NUMPY\x01\x00"
HEADER = re.compile(
    r"\{'descr': '([^']{1,20})', 'fortran_order': (True|False), 'shape': \(([0-9, ]{0,80})\), \} *\n", re.ASCII
)
MAX_HEADER_BYTES = 4096


def read_npy(path: Path, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """The array in `path`, which must be of exactly this dtype and shape.

    The header is matched, never evaluated, and nothing is unpickled.

    Raises
    ------
    DeepDiveError
        Naming the file and what is wrong with it.
    """
    wanted = np.dtype(dtype)
    size = math.prod(shape) * wanted.itemsize
    try:
        if not path.is_file():
            raise DeepDiveError(f"'{path}' is missing; the parameters are not whole.")
        with path.open("rb") as file:
            data = file.read(size + MAX_HEADER_BYTES + 1)
    except OSError as error:
        raise DeepDiveError(f"'{path}' cannot be read ({(error.strerror or str(error)).lower()}).") from None
    if len(data) < 10 or not data.startswith(MAGIC):
        raise DeepDiveError(f"'{path}' is no NumPy array file of version 1.0; save it again with numpy.save.")
    start = 10 + int.from_bytes(data[8:10], "little")
    header = HEADER.fullmatch(data[10:start].decode("latin-1"))
    if start > MAX_HEADER_BYTES or not header:
        raise DeepDiveError(f"'{path}' has a header that numpy.save does not write; save it again.")
    kind, fortran, dims = header.groups()
    if "O" in kind:
        raise DeepDiveError(f"'{path}' holds pickled Python objects, which are never opened; save plain numbers.")
    found = tuple(int(part) for part in dims.replace(" ", "").split(",") if part)
    if kind != wanted.str or found != shape or (fortran == "True" and len(shape) > 1):
        raise DeepDiveError(f"'{path}' holds {kind}{found}; want {wanted.str}{shape}.")
    if len(data) - start != size:
        raise DeepDiveError(f"'{path}' has {len(data) - start} bytes of numbers; its shape {shape} wants {size}.")
    return np.frombuffer(data, dtype=wanted, offset=start).reshape(shape)
