"""What can go wrong, as one sentence and an exit code."""

from __future__ import annotations


class HostError(Exception):
    """Bad usage or a bad file."""

    exit_code = 2


class RunFailed(HostError):
    """The board did something else than it should."""

    exit_code = 1
