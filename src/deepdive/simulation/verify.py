"""The verification ladder: engine after engine against the NumPy reference, on given images."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from deepdive.backends.build import Build
from deepdive.errors import CheckFailed, DeepDiveError
from deepdive.files import write_text
from deepdive.qnet import reference
from deepdive.qnet.witness import run_onnx_runtime
from deepdive.simulation.compare import compare
from deepdive.simulation.engines import runner

VERIFICATION_FILE = "verification.json"

PROJECTS = (
    ("hls", "csim", "C simulation", "the C++ compute units"),
    ("rtl", "rtl", "RTL simulation", "the Verilog, cycle by cycle"),
)
"""Folder of a project in a build, the engine that runs it, its name in the table, what it proves."""

Progress = Callable[[str], None]


class Rung(BaseModel):
    """One engine's result: `differing` of `values` values in `maps` feature maps of `images` images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: str
    proves: str
    images: int
    maps: int
    values: int
    differing: int
    first_difference: str | None
    seconds: float


class Verification(BaseModel):
    """What the ladder found for one build."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str
    rungs: tuple[Rung, ...]

    @property
    def values(self) -> int:
        """Values compared, of all engines."""
        return sum(rung.values for rung in self.rungs)

    @property
    def differing(self) -> int:
        """Values that differ, of all engines."""
        return sum(rung.differing for rung in self.rungs)

    @property
    def passed(self) -> bool:
        return self.differing == 0

    def check(self) -> None:
        """Raise CheckFailed with the first differing value, if there is any."""
        for rung in self.rungs:
            if rung.differing:
                raise CheckFailed(
                    f"{rung.engine} differs from the reference in {rung.differing:,} of {rung.values:,} values: "
                    f"{rung.first_difference}."
                )

    def save(self, build: Path) -> None:
        """Keep the result in the build folder, for the report."""
        write_text(build / VERIFICATION_FILE, self.model_dump_json(indent=1) + "\n")


def load_verification(build: Build) -> Verification | None:
    """What `verify` last found for this very network, or None."""
    path = build.path / VERIFICATION_FILE
    if not path.is_file():
        return None
    try:
        found = Verification.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DeepDiveError(f"Cannot read '{path}' ({type(error).__name__}); run 'deepdive verify' again.") from None
    return found if found.fingerprint == build.design.fingerprint else None


def verify(build: Build, images: np.ndarray, progress: Progress | None = None) -> Verification:
    """Climb the ladder: ONNX Runtime on the saved file, then the simulation of every emitted project.

    Parameters
    ----------
    images
        Input codes, (batch, height, width, channels).
    progress
        Told what runs now.
    """
    tell = progress or (lambda _: None)
    tell("NumPy reference")
    wanted = reference.run(build.net, images)
    tell("ONNX Runtime")
    onnx = climb("ONNX Runtime", "the saved file", wanted, lambda: run_onnx_runtime(build.net, images))
    rungs = [onnx]
    written = [row for row in PROJECTS if (build.path / row[0]).is_dir()]
    for _, engine, title, proves in written or PROJECTS[:1]:
        run = runner(engine)
        rungs.append(climb(title, proves, wanted, lambda run=run: run(build, images, progress)))  # type: ignore[misc]
    found = Verification(fingerprint=build.design.fingerprint, rungs=tuple(rungs))
    found.save(build.path)
    return found


def climb(
    engine: str, proves: str, wanted: Mapping[str, np.ndarray], run: Callable[[], Mapping[str, np.ndarray]]
) -> Rung:
    """Run one engine and compare every feature map it gives."""
    start = time.perf_counter()
    got = run()
    seconds = time.perf_counter() - start
    found = compare(got, wanted)
    return Rung(
        engine=engine,
        proves=proves,
        images=len(next(iter(wanted.values()))),
        maps=found.maps,
        values=found.values,
        differing=found.differing,
        first_difference=found.first_difference,
        seconds=seconds,
    )
