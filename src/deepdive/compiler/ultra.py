"""Which FIFOs lie in UltraRAM, on a board that has it.

An UltraRAM holds as much as eight block RAMs, 72 bits wide, and has no contents when the bitstream is loaded. So
weights cannot lie there, but FIFOs can: those of maps that wait for the branch of a squeeze-excite, or beside a
residual block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from deepdive.hardware.power import UW_PER_MHZ
from deepdive.hardware.stages import AnyStage
from deepdive.hardware.stream import Stream
from deepdive.hardware.units import Unit

PAYS = UW_PER_MHZ["uram"] / UW_PER_MHZ["bram36"]
"""A FIFO moves when it frees more than so many block RAMs for an UltraRAM: the power is then less, too."""


def in_ultra(units: Sequence[Unit], most: float) -> tuple[Unit, ...]:
    """The units, FIFOs inside them moved to at most so many UltraRAMs."""
    moved = {before.name: after for before, after in moves(units, most)}
    return tuple(
        unit.model_copy(update={"stages": tuple(with_streams(stage, moved) for stage in unit.stages)}) for unit in units
    )


def moves(units: Sequence[Unit], most: float) -> list[tuple[Stream, Stream]]:
    """The FIFOs that move, before and after it: those first that free most block RAM for an UltraRAM.

    Parameters
    ----------
    most
        UltraRAMs that may be taken.
    """
    found: list[tuple[Stream, Stream]] = []
    able = [(before, after) for unit in units for before, after in possible(unit)]
    able.sort(key=lambda move: -move[0].resources.bram36 / move[1].resources.uram)
    for before, after in able:
        if after.resources.uram <= most:
            found.append((before, after))
            most -= after.resources.uram
    return found


def possible(unit: Unit) -> Iterator[tuple[Stream, Stream]]:
    """Every FIFO inside a unit whose move pays, before and after it."""
    for stream in unit.streams:
        if stream == unit.output or not stream.resources.bram36:
            continue
        after = Stream.model_validate({**stream.model_dump(), "ultra": True})
        if stream.resources.bram36 >= PAYS * after.resources.uram:
            yield stream, after


def with_streams(stage: AnyStage, moved: dict[str, Stream]) -> AnyStage:
    """The stage with some of its streams replaced, by name."""
    ports = {name: value for name, value in stage if isinstance(value, Stream) and value.name in moved}
    return stage.model_copy(update={name: moved[value.name] for name, value in ports.items()}) if ports else stage
