"""The C++ project: a synthesizable top function for each compute unit, and a test bench that needs g++ alone."""

from deepdive.backends.vitis.project import write_project

__all__ = ["write_project"]
