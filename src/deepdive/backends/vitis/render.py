"""Fills the project's templates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from deepdive.backends.vitis.stages import ExternalWeights

MEMORY_WORD_BYTES = 16
"""As in ``deepdive/external_weights.h``."""


def memory_image(external: ExternalWeights) -> np.ndarray:
    """uint8 (words, bytes): each weight word starts on a memory word."""
    spare = -external.bytes.shape[1] % MEMORY_WORD_BYTES
    return np.pad(external.bytes, ((0, 0), (0, spare)))


def memory_words(external: ExternalWeights) -> int:
    """Memory words that a stage's weights take."""
    return memory_image(external).size // MEMORY_WORD_BYTES


def environment() -> Environment:
    """The templates; an unknown name in one is an error."""
    made = Environment(
        loader=PackageLoader("deepdive.backends.vitis"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    made.filters["memory_words"] = memory_words
    return made


ENVIRONMENT = environment()


def render(template: str, path: Path, **values: object) -> None:
    """Fill a template into a file."""
    path.write_text(ENVIRONMENT.get_template(f"{template}.jinja").render(**values), encoding="utf-8")
