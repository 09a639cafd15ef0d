"""Amaranth components to plain Verilog, through Yosys."""

from __future__ import annotations

import gc
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Elaboratable

from deepdive.backends.verilog.yosys import yosys

DOTTED = re.compile(r"\\([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)+) ")


def emit(modules: Mapping[str, Elaboratable]) -> dict[str, str]:
    """Verilog text of each module and of what stands below it, by name.

    One run of Yosys writes all of them: starting it takes longer than most modules.
    """
    with tempfile.TemporaryDirectory(prefix="deepdive-verilog-") as folder:
        script = []
        for name, module in modules.items():
            with uncollected():
                text = rtlil.convert(module, name=name, emit_src=False)
            (Path(folder) / f"{name}.il").write_text(text, encoding="utf-8")
            script += [
                f"read_rtlil {name}.il",
                "proc -noopt",
                "opt_clean",
                f"write_verilog -noattr {name}.v",
                "design -reset",
            ]
        yosys("\n".join(script), Path(folder))
        return {name: plain_names((Path(folder) / f"{name}.v").read_text(encoding="utf-8")) for name in modules}


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for garbage: Amaranth makes millions of small objects that all live; it takes a quarter of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def plain_names(verilog: str) -> str:
    """Names of modules below a module hold dots, which Verilog must escape; underscores read better."""
    return DOTTED.sub(lambda found: found.group(1).replace(".", "__") + " ", verilog)
