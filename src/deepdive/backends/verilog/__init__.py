"""The Verilog project of a Design."""

from deepdive.backends.verilog.project import FILE_LIST, TOP, write_project

__all__ = ["FILE_LIST", "TOP", "write_project"]
