"""What a user may be told: one sentence that names the thing, the value and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DeepDiveError(Exception):
    """Bad usage or bad input; the command line prints it without a traceback and exits with 2."""

    exit_code = 2


class CheckFailed(DeepDiveError):
    """A check that ran and failed (a differing value, a design that does not fit); exit code 1."""

    exit_code = 1


class UnsupportedLayer(DeepDiveError):
    """A layer of a user's network that DeepDive cannot map; the text names it and what to use instead."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint such as ``"; did you mean 'zcu102'? Known: pynq-z2, zcu102"`` for an unknown `name`."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    guess = f"; did you mean '{close[0]}'?" if close else "."
    return f"{guess} Known: {', '.join(names)}"
