"""A bench of many stages, run in a folder of its own."""

from __future__ import annotations

from pathlib import Path

from deepdive.hardware.rtl.memory_ports import external_memories
from deepdive.hardware.stages import SharedBody, Stage
from deepdive.hardware.stages.external import WORD_BITS
from deepdive.simulation.bench import MemoryPort, Run, run_bench


def stage_memories(stage: Stage) -> tuple[MemoryPort, ...]:
    """The memories that a stage alone reaches, behind ports as wide as its contract says."""
    bits = WORD_BITS // stage.port_cycles if isinstance(stage, SharedBody) else None
    return tuple(MemoryPort.of(memory, alone=True, port_bits=bits) for memory in external_memories(stage))


def run_beside(program: Path, how: Run, folder: Path) -> None:
    """Run a bench in a folder of its own, with the memories and stimuli that lie beside the program."""
    for path in program.parent.iterdir():
        if path.suffix in (".mem", ".stimulus"):
            (folder / path.name).symlink_to(path)
    cycles, _ = run_bench(program, how, folder)
    assert cycles > 0
