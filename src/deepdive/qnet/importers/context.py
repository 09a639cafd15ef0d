"""What the handlers of foreign operators share: the registry, and access to a node's inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deepdive.errors import DeepDiveError
from deepdive.qnet.importers.emitter import Emitter
from deepdive.qnet.importers.onnx_source import SourceNode
from deepdive.qnet.importers.values import Const, Value


@dataclass
class Context:
    """Of one conversion.

    Parameters
    ----------
    opset
        Version of the standard operators.
    raw_dtype
        Of the graph's input.
    notes
        For the network's owner.
    """

    opset: int
    raw_dtype: np.dtype[Any]
    emitter: Emitter
    notes: list[str] = field(default_factory=list)

    def value(self, values: list[Value | None], index: int) -> Value:
        """Input number `index`."""
        found = values[index] if index < len(values) else None
        if found is None:
            raise DeepDiveError(f"input {index} is missing")
        return found

    def const(self, values: list[Value | None], index: int, what: str) -> Const:
        """Input number `index`, which must be known numbers."""
        found = self.value(values, index)
        if not isinstance(found, Const) or not found.values.size:
            raise DeepDiveError(f"its {what} is no constant")
        return found


Handler = Callable[[Context, SourceNode, list[Value | None]], Value]
HANDLERS: dict[tuple[str, str], Handler] = {}
"""By domain and operator."""


def handler(*op_types: str, domains: tuple[str, ...] = ("",)) -> Callable[[Handler], Handler]:
    """Register a function for operators."""

    def register(function: Handler) -> Handler:
        HANDLERS.update({(domain, op_type): function for domain in domains for op_type in op_types})
        return function

    return register
