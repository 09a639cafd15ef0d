"""What open synthesis counted of a build before, for the report."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from deepdive.backends.build import Build

if TYPE_CHECKING:
    from deepdive.simulation.synthesis import UnitSynthesis


def load_synthesis(build: Build) -> dict[str, UnitSynthesis]:
    """The units of which `deepdive synthesise` counted the Verilog as it is now; none without Verilog."""
    project = build.path / "rtl"
    if not project.is_dir() or find_spec("amaranth") is None:
        return {}
    from deepdive.simulation.synthesis import family_of, kept_synthesis

    return kept_synthesis(project, build.design, family_of(build.design.board.part))
