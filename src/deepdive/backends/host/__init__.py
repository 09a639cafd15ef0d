"""The runtime on the board: one folder that needs NumPy and pynq."""

from deepdive.backends.host.write import write_host

__all__ = ["write_host"]
