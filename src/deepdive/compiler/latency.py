"""Latency of a chain of units, modelled: when does the first and the last beat of one frame leave each stage?

Two times are carried along every stream: of its first and of its last beat, one frame on its own entering an idle
pipeline at full rate. A stage's first output beat follows the input beat that completes it (`fill_beats`, input beats
coming evenly). Its last one follows the last input beat by `drain_cycles`, but comes no earlier than its own loop
allows. Every stage adds the iteration latency of its pipeline. Stalls by short FIFOs are not modelled.
"""

from __future__ import annotations

from collections.abc import Iterable

from deepdive.hardware.stages import PIPELINE_CYCLES
from deepdive.hardware.units import Unit


def latency_cycles(units: Iterable[Unit]) -> int:
    """Clock cycles from the first beat into the first unit to the last beat out of the last one."""
    times: dict[str, tuple[float, float]] = {}
    last = 0.0
    for unit in units:
        times.setdefault(unit.input.name, (0.0, float(unit.input.beats)))
        for stage in unit.stages:
            arrivals = [times[stream.name] for stream in stage.inputs]
            first_in, last_in = max(first for first, _ in arrivals), max(last for _, last in arrivals)
            pace = (last_in - first_in) / max(stage.inputs[0].beats - 1, 1)
            first_out = first_in + (stage.fill_beats - 1) * pace + PIPELINE_CYCLES
            last_out = max(last_in + stage.drain_cycles, first_in + stage.interval_cycles) + PIPELINE_CYCLES
            last = max(last_out, first_out)
            for stream in stage.outputs:
                times[stream.name] = (first_out, last)
    return round(last)
