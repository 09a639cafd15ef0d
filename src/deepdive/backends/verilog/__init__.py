"""The Verilog project of a Design."""

from deepdive.backends.verilog.project import DSP_FILE, FILE_LIST, TOP, write_project

__all__ = ["DSP_FILE", "FILE_LIST", "TOP", "write_project"]
