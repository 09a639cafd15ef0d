"""RTL simulation: the emitted Verilog through Verilator, every unit's output recorded, every stall counted."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from deepdive.backends.build import Build
from deepdive.backends.verilog import FILE_LIST, TOP
from deepdive.compiler.design import Design
from deepdive.errors import CheckFailed, DeepDiveError
from deepdive.hardware.rtl.unit import unit_memories
from deepdive.hardware.stages import SharedBody, Stage
from deepdive.hardware.stream import Stream
from deepdive.hardware.units import Unit
from deepdive.qnet import QNet
from deepdive.qnet.reference import check_images
from deepdive.simulation.bench import (
    PARTS,
    Dut,
    MemoryPort,
    Port,
    Run,
    bench_verilog,
    memory_traffic,
    monitor,
    part,
    read_codes,
    run_bench,
    tap_name,
    traffic,
    write_codes,
    write_memory,
    write_parts,
)
from deepdive.simulation.verilated import build_simulator
from deepdive.simulation.waveform import Waveform

PROJECT = "rtl"
SIMULATOR = "simulator"
BYTE = 8

Progress = Callable[[str], None]


@dataclass(frozen=True)
class StageStalls:
    """Clock cycles, of all frames, in which a stage could not go on.

    `starved` by input stream: the stage was ready, the FIFO empty; `blocked` by output stream: it had a beat, the FIFO
    was full.
    """

    starved: dict[str, int]
    blocked: dict[str, int]


@dataclass(frozen=True)
class RtlSimulation:
    """What a run gave.

    Parameters
    ----------
    maps
        Codes (frames, height, width, channels) that each unit wrote, by name of the feature map.
    frames
        (n, 2): the clock cycles of each frame's first input beat and last output beat.
    stalls
        By name of the stage.
    batch
        Frames after which the design does the same again.
    """

    maps: dict[str, np.ndarray]
    frames: np.ndarray
    stalls: dict[str, StageStalls]
    batch: int = 1

    @property
    def frame_interval_cycles(self) -> int:
        """Clock cycles a frame between the ends of two batches, at the slower end of the design.

        While the pipeline fills, it takes frames faster than it gives them; at the end, when nothing follows, windows
        wait in vain, and what they hold back is missed by the frames in front, too. So of single frames the last two
        count that left a fed pipeline, if there are so many. The first batch of a shared unit, and with it the last
        one, may be smaller than the others: of batches it is the median of what lies between each frame and the one a
        batch later. Of a single batch it is the clock cycles of the whole run, a frame.
        """
        if len(self.frames) <= self.batch:
            return math.ceil((self.frames[-1, 1] - self.frames[0, 0]) / len(self.frames))
        apart = (self.frames[self.batch :] - self.frames[: -self.batch]).max(axis=1)
        middle = apart[max(self.left_while_fed - 2, 0)] if self.batch == 1 else np.sort(apart)[len(apart) // 2]
        return math.ceil(middle / self.batch)

    @property
    def left_while_fed(self) -> int:
        """Frames that left before the last one was taken in, which takes as long as the one before it."""
        begun = self.frames[:, 0]
        return int((self.frames[:, 1] <= begun[-1] + (begun[-1] - begun[-2])).sum()) if len(begun) > 1 else 0

    @property
    def steady_frames(self) -> int:
        """So many frames show the pace of a full pipeline: two of them leave while others come in.

        Of batches one is in it, one behind it, and one is measured.
        """
        return len(self.frames) + max(2 - self.left_while_fed, 0) if self.batch == 1 else 3 * self.batch

    @property
    def longest_stalls(self) -> list[tuple[int, str, str]]:
        """(clock cycles, stage, ``"starved of stream"`` or ``"blocked by stream"``), the longest first."""
        found = [
            (cycles, stage, f"{what} {stream}")
            for stage, stalls in self.stalls.items()
            for what, streams in (("starved of", stalls.starved), ("blocked by", stalls.blocked))
            for stream, cycles in streams.items()
            if cycles
        ]
        return sorted(found, reverse=True)

    @property
    def latency_cycles(self) -> int:
        """Clock cycles of the first frame, from its first input beat to its last output beat."""
        return int(self.frames[0, 1] - self.frames[0, 0])


def run_rtl(build: Build, images: np.ndarray, progress: Progress | None = None) -> dict[str, np.ndarray]:
    """Simulate the build's Verilog on input codes (batch, height, width, channels), frames back to back.

    Returns
    -------
    Codes (batch, height, width, channels) of every unit's output, by name of the feature map.
    """
    return simulate_build(build, images, Run(len(images)), progress).maps


def simulate_build(build: Build, images: np.ndarray, how: Run, progress: Progress | None = None) -> RtlSimulation:
    """As `run_rtl`, under given pauses, with cycles and stalls, and a waveform if one is wanted."""
    program = compile_simulator(build.path / PROJECT, build.design, progress, waveform=how.waveform)
    return simulate(program, build.design, build.net, images, how)


def compile_simulator(
    project: Path,
    design: Design,
    progress: Progress | None = None,
    jobs: int | None = None,
    optimize: str = "-O1",
    waveform: Waveform | None = None,
) -> Path:
    """The program that simulates an RTL project; it is made when the project has changed since.

    `jobs` compilers run at a time (default: one a core); `optimize` is g++'s: -O0 is ready twice as soon as -O1.
    One for a `waveform` is slower, and is made anew each time, since it holds the signals that are wanted.
    """
    if not (project / FILE_LIST).is_file():
        raise DeepDiveError(f"'{project}' holds no Verilog project; compile the network with the RTL backend.")
    sources = [project / name for name in (project / FILE_LIST).read_text(encoding="utf-8").split()]
    folder = project / (f"{SIMULATOR}_waveform" if waveform else SIMULATOR)
    program = folder / "bench"
    newest = max(path.stat().st_mtime for path in sources)
    if not waveform and program.is_file() and program.stat().st_mtime > newest:
        return program
    if progress:
        progress("compile the simulator")
    folder.mkdir(exist_ok=True)
    bench, main = folder / "bench.v", folder / "main.cpp"
    bench.write_text(
        bench_verilog([accelerator(design)], between_units(design)) + "\n".join(observers(design)) + "\n",
        encoding="utf-8",
    )
    main.write_text(part("main.cpp"), encoding="utf-8")
    every_core = len(os.sched_getaffinity(0))
    sources += [bench, *write_parts(folder)]
    if waveform:
        control = folder / "waveform.vlt"
        control.write_text(waveform.control([unit.name for unit in design.units], PARTS), encoding="utf-8")
        sources.insert(0, control)
    return build_simulator(
        folder, sources, main, jobs=jobs or every_core, optimize=optimize, trace=waveform is not None
    )


def accelerator(design: Design) -> Dut:
    """The top module with its AXI-Stream ports, a byte a code, and memories behind ports as wide as the board's."""
    source, result = (
        stream.model_copy(update={"bits": BYTE}) for stream in (design.units[0].input, design.units[-1].output)
    )
    return Dut(
        TOP,
        (Port.axi("s_axis", source),),
        (Port.axi("m_axis", result),),
        tuple(
            MemoryPort.of(memory, "m_axi_", port_bits=design.board.memory.port_bits)
            for unit in design.units
            for memory in unit_memories(unit)
        ),
    )


def between_units(design: Design) -> list[str]:
    """The streams between units, as the bench sees them."""
    return [f"{TOP}_dut.{unit.output.name}" for unit in design.units]


def observers(design: Design) -> list[str]:
    """A monitor at either end of every FIFO inside a unit; what units write is recorded."""
    lines = []
    for unit in design.units:
        for stream in unit.streams:
            ends = (("", stream.name, stream == unit.output), ("read_", f"{stream.name}.read", False))
            for end, name, record in ends:
                signals = {
                    "payload": f"{stream.name}_payload",
                    "valid": f"{stream.name}_{end}valid",
                    "ready": f"{stream.name}_{end}ready",
                }
                text = monitor(f"{end}{stream.name}", name, stream, signals, record=record, bound=True)
                lines.append(f"bind {unit.name} {text}")
    return lines


def simulate(program: Path, design: Design, net: QNet, images: np.ndarray, how: Run) -> RtlSimulation:
    """Run a simulator on input codes, one frame after the other.

    Raises
    ------
    CheckFailed
        Naming the stage that stopped, when not all frames come out; or a stream that broke the handshake's rules.
    """
    check_images(net.input, images)
    source = design.units[0].input
    with tempfile.TemporaryDirectory(prefix="deepdive-rtl-") as name:
        folder = Path(name)
        for image in program.parent.parent.glob("*.mem"):
            (folder / image.name).symlink_to(image.resolve())
        (port,) = accelerator(design).inputs
        write_codes(folder / f"{tap_name(TOP, port.name)}.stimulus", port.stream, beats(images, source))
        for memory in accelerator(design).memories:
            if not memory.writes:
                data = (program.parent.parent / f"{memory.name}.bin").read_bytes()
                write_memory(folder / f"{tap_name(TOP, memory.name)}.memory.mem", data, memory.word_bytes)
        # While units take in what they work on at a time, or work on it, no beat may pass between units.
        patience = max(how.patience, 4 * batch(design) * design.frame_interval_cycles)
        _, complete = run_bench(program, replace(how, patience=patience), folder)
        if not complete:
            arrived = len(traffic(folder, tap_name(TOP, "m_axis")).frames)
            raise CheckFailed(
                f"RTL simulation stopped after {arrived} of {how.frames} frames: {why_stopped(design, folder)}."
            )
        starts = traffic(folder, tap_name(TOP, "s_axis")).frames[:, 0]
        ends = traffic(folder, tap_name(TOP, "m_axis")).frames[:, 1]
        check_rules(design, folder)
        return RtlSimulation(
            maps={unit.output_map: unit_output(unit, net, folder, len(images)) for unit in design.units},
            frames=np.stack([starts[: len(ends)], ends], axis=1),
            stalls={stage.name: stage_stalls(stage, folder) for unit in design.units for stage in unit.stages},
            batch=batch(design),
        )


def batch(design: Design) -> int:
    """Frames after which a design does the same again: what its shared units take at a time."""
    stages = (stage for unit in design.units for stage in unit.stages)
    return math.lcm(*(stage.batch for stage in stages if isinstance(stage, SharedBody)))


def beats(images: np.ndarray, stream: Stream) -> np.ndarray:
    """(beats, lanes): channels that the stream has and the network has not are zeros."""
    missing = stream.pixel_channels(images.shape[2]) - images.shape[3]
    return np.pad(images, ((0, 0), (0, 0), (0, 0), (0, missing))).reshape(-1, stream.lanes)


def unit_output(unit: Unit, net: QNet, folder: Path, frames: int) -> np.ndarray:
    """What the monitor of a unit's output recorded, as a feature map."""
    feature_map = net.maps[unit.output_map]
    codes = read_codes(folder / f"{unit.output.name}.beats", unit.output)
    wanted = frames * unit.output.beats
    if len(codes) != wanted:
        raise CheckFailed(f"Unit '{unit.name}' gave {len(codes)} beats in RTL simulation; want {wanted}.")
    return codes.reshape(frames, *unit.output.shape)[..., : feature_map.shape[2]].astype(feature_map.dtype)


def stage_stalls(stage: Stage, folder: Path) -> StageStalls:
    """How long a stage waited, and for which stream. The network's input has no FIFO inside a unit."""
    inside = [stream.name for stream in stage.inputs if (folder / f"{stream.name}.read.counts").is_file()]
    return StageStalls(
        starved={name: traffic(folder, f"{name}.read").starved for name in inside},
        blocked={stream.name: traffic(folder, stream.name).blocked for stream in stage.outputs},
    )


def check_rules(design: Design, folder: Path) -> None:
    """Refuse a run in which a stream withdrew or changed a beat that it had offered."""
    for unit in design.units:
        for stream in unit.streams:
            broken = traffic(folder, stream.name).broken
            if broken:
                raise CheckFailed(f"Stream '{stream.name}' withdrew or changed an offered beat {broken} times.")
    for memory in accelerator(design).memories:
        broken = memory_traffic(folder, tap_name(TOP, memory.name)).broken
        if broken:
            raise CheckFailed(f"Memory '{memory.name}': its masters broke the rules of AXI {broken} times.")


def why_stopped(design: Design, folder: Path) -> str:
    """The stages that wait for each other when nothing moves any more."""
    waits = []
    started = -(-traffic(folder, tap_name(TOP, "s_axis")).beats // design.units[0].input.beats)
    for unit in design.units:
        for stage in unit.stages:
            full = [s.name for s in stage.outputs if traffic(folder, s.name).held]
            empty = [
                s.name
                for s in stage.inputs
                if (folder / f"{s.name}.read.counts").is_file() and traffic(folder, f"{s.name}.read").idle
            ]
            given = sum(traffic(folder, s.name).beats for s in stage.outputs)
            if full:
                waits.append(f"stage '{stage.name}' waits for room in {', '.join(full)}")
            elif given < started * sum(s.beats for s in stage.outputs):
                waits.append(f"stage '{stage.name}' waits for {', '.join(empty) or 'its input'}")
    return "; ".join(waits) or "every stage waits for input"
