"""A hash of everything in a network that the hardware depends on."""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass

import numpy as np

from deepdive.qnet import QNet


def fingerprint(net: QNet) -> str:
    """SHA-256 in hexadecimal, of input and nodes; name, labels and preprocessing do not count."""
    digest = hashlib.sha256()
    feed(digest, (net.input, net.nodes))
    return digest.hexdigest()


def feed(digest: hashlib._Hash, value: object) -> None:
    """Hash a value by its structure; arrays by type, shape and bytes."""
    if isinstance(value, np.ndarray):
        digest.update(f"array {value.dtype.str} {value.shape};".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif is_dataclass(value):
        digest.update(f"{type(value).__name__}(".encode())
        for item in fields(value):
            digest.update(f"{item.name}=".encode())
            feed(digest, getattr(value, item.name))
        digest.update(b")")
    elif isinstance(value, tuple | list):
        digest.update(f"{len(value)}[".encode())
        for entry in value:
            feed(digest, entry)
    else:
        digest.update(f"{type(value).__name__} {value!r};".encode())
