"""One number for what a network computes: it ties a project, a bitstream or a report to its network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from deepdive.qnet.graph import QNet


def fingerprint(net: QNet) -> str:
    """SHA-256 (64 hexadecimal digits) over the input's type and every node, field by field.

    The network's name, its labels and the preprocessing are left out: they change no code that is computed.
    """
    digest = hashlib.sha256()
    for piece in canonical((net.input, net.nodes)):
        digest.update(piece)
    return digest.hexdigest()


def canonical(value: Any) -> Iterator[bytes]:
    """Bytes that differ whenever `value` (dataclasses, tuples, arrays, numbers, strings) differs."""
    if isinstance(value, np.ndarray):
        data = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
        yield f"array {value.dtype.name} {value.shape} ".encode()
        yield data.tobytes()
    elif is_dataclass(value):
        yield f"{type(value).__name__}(".encode()
        for field in fields(value):
            yield f"{field.name}=".encode()
            yield from canonical(getattr(value, field.name))
        yield b")"
    elif isinstance(value, tuple):
        yield f"tuple {len(value)} ".encode()
        for item in value:
            yield from canonical(item)
    elif isinstance(value, str):
        yield f"string {len(value)} {value} ".encode()
    elif isinstance(value, float):
        yield f"float {value.hex()} ".encode()
    else:
        yield f"integer {int(value)} ".encode()
