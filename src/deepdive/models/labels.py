"""The names of ImageNet's thousand classes."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def imagenet_labels() -> tuple[str, ...]:
    """Return the 1000 names in the order of the networks' outputs; synonyms are separated by commas."""
    text = (files("deepdive.models") / "imagenet_labels.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())
