"""A bench: modules with streams between sources that feed files and monitors that write files, under random pauses."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from deepdive.errors import DeepDiveError
from deepdive.hardware.rtl.axi import ADDRESS_BITS
from deepdive.hardware.rtl.memory_ports import ExternalMemory
from deepdive.hardware.stream import Stream
from deepdive.simulation.waveform import Waveform

PARTS = ("stream_source.v", "stream_sink.v", "stream_monitor.v", "axi_memory.v", "dsp48.v")
READ_PORTS = (
    "araddr",
    "arlen",
    "arsize",
    "arburst",
    "arvalid",
    "arready",
    "rdata",
    "rresp",
    "rlast",
    "rvalid",
    "rready",
)
WRITE_PORTS = (
    *("awaddr", "awlen", "awsize", "awburst", "awvalid", "awready"),
    *("wdata", "wstrb", "wlast", "wvalid", "wready", "bresp", "bvalid", "bready"),
)
FROM_MEMORY = ("arready", "rdata", "rresp", "rlast", "rvalid", "awready", "wready", "bresp", "bvalid")


@dataclass(frozen=True)
class Port:
    """A stream port of a module: its name for files, and the module's payload, valid and ready.

    An input with `repeat` gets its beats over and over again.
    """

    name: str
    stream: Stream
    payload: str
    valid: str
    ready: str
    repeat: bool = False

    @classmethod
    def of(cls, name: str, stream: Stream) -> Port:
        """A port of an Amaranth component."""
        return cls(name, stream, f"{name}__payload", f"{name}__valid", f"{name}__ready")

    @classmethod
    def axi(cls, name: str, stream: Stream) -> Port:
        """An AXI-Stream port; `stream` is what its data hold."""
        return cls(name, stream, f"{name}_tdata", f"{name}_tvalid", f"{name}_tready")


@dataclass(frozen=True)
class MemoryPort:
    """External memory behind AXI masters of a module.

    Parameters
    ----------
    name
        For files.
    masters
        What their ports begin with, such as ``m_axi_`` in ``m_axi_araddr``.
    writes
        Whether masters write, too; if none does, it holds something in the beginning: ``<name>.memory.mem``.
    tied
        Inputs of the module that are 0: where the memory begins.
    faulty
        Words from this one on are answered with an error; None for none.
    pace
        Clock cycles in which a master moves a word.
    """

    name: str
    masters: tuple[str, ...]
    word_bytes: int
    words: int
    writes: bool
    tied: tuple[str, ...] = ()
    faulty: int | None = None
    pace: int = 1

    @classmethod
    def of(
        cls, memory: ExternalMemory, prefix: str = "", *, alone: bool = False, port_bits: int | None = None
    ) -> MemoryPort:
        """A stage's memory; its masters' ports begin with `prefix`. One that stands `alone` begins at address 0.

        Words that are wider than the board's `port_bits` take several clock cycles; None: a word a cycle.
        """
        pace = max(1, math.ceil(8 * memory.word_bytes / port_bits)) if port_bits else 1
        masters = tuple(f"{prefix}{master}_" for master in memory.masters)
        tied = (memory.base,) if alone else ()
        return cls(memory.name, masters, memory.word_bytes, memory.words, memory.writes, tied, pace=pace)

    def widths(self) -> dict[str, int]:
        """Bits of each signal of a master."""
        size = 8 * self.word_bytes
        address = dict.fromkeys(("araddr", "awaddr"), ADDRESS_BITS)
        lengths = {"arlen": 8, "awlen": 8, "arsize": 3, "awsize": 3, "arburst": 2, "awburst": 2, "rresp": 2, "bresp": 2}
        data = {"rdata": size, "wdata": size, "wstrb": self.word_bytes}
        names = (*READ_PORTS, *(WRITE_PORTS if self.writes else ()))
        return {name: {**address, **lengths, **data}.get(name, 1) for name in names}


@dataclass(frozen=True)
class Dut:
    """A module under test."""

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    memories: tuple[MemoryPort, ...] = ()


@dataclass(frozen=True)
class Traffic:
    """What a monitor saw on a stream.

    Parameters
    ----------
    beats, blocked, starved
        Beats moved; cycles with valid but not ready, and with ready but not valid.
    broken
        Cycles in which an offered beat was withdrawn or changed; never anything but 0.
    frames
        (n, 2): the clock cycles of each frame's first and last beat.
    held, idle
        At the end of the run: a beat was offered and not taken; a beat was wanted and not offered.
    """

    beats: int
    blocked: int
    starved: int
    broken: int
    frames: np.ndarray
    held: bool
    idle: bool


def tap_name(dut: str, port: str) -> str:
    """Name of the files of a port's source or monitor."""
    return f"{dut}.{port}"


def monitor(instance: str, name: str, stream: Stream, signals: Mapping[str, str], *, record: bool, bound: bool) -> str:
    """Verilog of a monitor instance; a bound one says nothing about completion."""
    ends = "" if bound else f", .frames(frames), .complete(complete_{instance}), .moved(moved_{instance})"
    return (
        f'stream_monitor #(.WIDTH({stream.beat_bits}), .NAME("{name}"), .FRAME_BEATS({stream.beats}), '
        f".RECORD({int(record)})) monitor_{instance} (.clk(clk), .rst(rst), .payload({signals['payload']}), "
        f".valid({signals['valid']}), .ready({signals['ready']}){ends});"
    )


def bench_verilog(duts: Sequence[Dut], inner: Sequence[str] = ()) -> str:
    """The top module `bench`: every module with its sources, sinks and monitors.

    `inner` are streams inside of modules, ``<dut>_dut.<stream>``, whose beats count as progress as well.
    """
    body: list[str] = []
    watched: list[str] = []
    number = 0
    for dut in duts:
        connections = [".clk(clk)", ".rst(rst)"]
        for port, is_input in [*((p, True) for p in dut.inputs), *((p, False) for p in dut.outputs)]:
            number += 1
            wire = f"{dut.name}_{port.name}"
            signals = {part: f"{wire}_{part}" for part in ("payload", "valid", "ready")}
            body.append(f"wire [{port.stream.beat_bits - 1}:0] {signals['payload']};")
            body.append(f"wire {signals['valid']}, {signals['ready']}, complete_{wire}, moved_{wire};")
            ends = ((port.payload, "payload"), (port.valid, "valid"), (port.ready, "ready"))
            connections += [f".{end}({signals[part]})" for end, part in ends]
            name = tap_name(dut.name, port.name)
            handshake = f".clk(clk), .rst(rst), .seed(seed), .ready({signals['ready']})"
            if is_input:
                offer = f".payload({signals['payload']}), .valid({signals['valid']}), .pause(pause_sources)"
                file = f'.FILE("{name}.stimulus"), .REPEAT({port.repeat:d})'
                parameters = f".WIDTH({port.stream.beat_bits}), .ID({number}), {file}"
                body.append(f"stream_source #({parameters}) source_{wire} ({handshake}, {offer});")
            else:
                body.append(f"stream_sink #(.ID({number})) sink_{wire} ({handshake}, .pause(pause_sinks));")
            body.append(monitor(wire, name, port.stream, signals, record=not is_input, bound=False))
            if not port.repeat:
                watched.append(wire)
        for memory in dut.memories:
            number += 1
            wires, wired = memory_verilog(dut.name, memory, number)
            body += wires
            connections += wired
        body.append(f"{dut.name} {dut.name}_dut ({', '.join(connections)});")
    complete = " & ".join(f"complete_{wire}" for wire in watched)
    moves = [f"moved_{wire}" for wire in watched] + [f"({path}_valid & {path}_ready)" for path in inner]
    moved = " | ".join(moves)
    lines = "\n".join(f"    {line}" for line in body)
    return f"""module bench (
    input wire clk,
    input wire rst,
    input wire [31:0] seed,
    input wire [31:0] frames,
    input wire [7:0] pause_sources,
    input wire [7:0] pause_sinks,
    output wire complete,
    output wire moved
);
{lines}
    assign complete = {complete};
    assign moved = {moved};
endmodule
"""


def memory_verilog(dut: str, memory: MemoryPort, number: int) -> tuple[list[str], list[str]]:
    """Wires and instance of a memory, and the connections of its module under test."""
    lines, connections, count = [], [f".{port}(0)" for port in memory.tied], len(memory.masters)
    ports = [".clk(clk)", ".rst(rst)", ".seed(seed)", ".pause(pause_sources)"]
    for signal, bits in memory.widths().items():
        wire = f"{dut}_{memory.name}_{signal}"
        lines.append(f"wire [{count * bits - 1}:0] {wire};")
        ports.append(f".{signal}({wire})")
        for index, master in enumerate(memory.masters):
            connections.append(f".{master}{signal}({wire}[{index * bits} +: {bits}])")
    if not memory.writes:
        ports += [f".{name}(0)" for name in WRITE_PORTS if name not in FROM_MEMORY]
    name = tap_name(dut, memory.name)
    file = f'.FILE("{name}.memory.mem"), ' if not memory.writes else ""
    faulty = "" if memory.faulty is None else f".FAULTY({memory.faulty}), "
    parameters = (
        f".PORTS({count}), .BYTES({memory.word_bytes}), .DEPTH({memory.words}), .ADDRESS_BITS({ADDRESS_BITS}), "
        f".PACE({memory.pace}), "
        f'{faulty}{file}.NAME("{name}"), .ID({number})'
    )
    lines.append(f"axi_memory #({parameters}) memory_{dut}_{memory.name} ({', '.join(ports)});")
    return lines, connections


@dataclass(frozen=True)
class MemoryTraffic:
    """What a memory saw: rules broken (never anything but 0), words read and written, of all masters."""

    broken: int
    read: int
    written: int


def memory_traffic(folder: Path, name: str) -> MemoryTraffic:
    """Of the memory `name` in the last run."""
    rows = [
        [int(word) for word in line.split()] for line in (folder / f"{name}.memory").read_text("ascii").splitlines()
    ]
    return MemoryTraffic(*(sum(column) for column in zip(*rows, strict=True)))


def write_parts(folder: Path) -> list[Path]:
    """Copy the bench's own Verilog into `folder`."""
    paths = []
    for name in PARTS:
        path = folder / name
        path.write_text(part(name), encoding="utf-8")
        paths.append(path)
    return paths


def part(name: str) -> str:
    """Text of one of the bench's own files."""
    return (files("deepdive.simulation") / "bench_parts" / name).read_text(encoding="utf-8")


def write_codes(path: Path, stream: Stream, codes: np.ndarray) -> None:
    """Write beats for a source: integers (beats, values), the first value lowest."""
    values = codes.reshape(-1, stream.taps * stream.lanes).astype(np.int64)
    bits = ((values[..., None] >> np.arange(stream.bits)) & 1).astype(np.uint8).reshape(len(values), -1)
    packed = np.packbits(bits, axis=1, bitorder="little")[:, ::-1]
    path.write_text("".join(f"{row.tobytes().hex()}\n" for row in packed), encoding="ascii")


def write_memory(path: Path, data: bytes, word_bytes: int) -> None:
    """Write what a memory holds in the beginning; the first byte of a word is its lowest."""
    words = np.frombuffer(data, dtype=np.uint8).reshape(-1, word_bytes)[:, ::-1]
    path.write_text("".join(f"{word.tobytes().hex()}\n" for word in words), encoding="ascii")


def read_codes(path: Path, stream: Stream) -> np.ndarray:
    """What a monitor recorded: int16 (beats, values)."""
    digits = -(-stream.beat_bits // 4)
    lines = path.read_text(encoding="ascii").split()
    odd = digits % 2
    raw = bytes.fromhex("".join(("0" + line if odd else line) for line in lines))
    packed = np.frombuffer(raw, dtype=np.uint8).reshape(len(lines), (digits + odd) // 2)[:, ::-1]
    bits = np.unpackbits(packed, axis=1, count=stream.beat_bits, bitorder="little")
    planes = bits.reshape(len(lines), -1, stream.bits).astype(np.int16)
    values: np.ndarray = (planes << np.arange(stream.bits, dtype=np.int16)).sum(axis=-1, dtype=np.int16)
    if stream.signed:
        values -= (values >> (stream.bits - 1)) << stream.bits
    return values


@dataclass(frozen=True)
class Run:
    """How to run a bench: pauses are 256ths of the cycles, `patience` cycles without a beat end it.

    A `waveform` needs a program that was built for it.
    """

    frames: int
    seed: int = 1
    pause_sources: int = 0
    pause_sinks: int = 0
    patience: int = 100_000
    waveform: Waveform | None = None


def run_bench(program: Path, how: Run, folder: Path, timeout: float = 3600) -> tuple[int, bool]:
    """Run the program in `folder` (where its files are): clock cycles, and whether every frame arrived."""
    numbers = (how.frames, how.seed, how.pause_sources, how.pause_sinks, how.patience)
    command = [str(program.resolve()), *map(str, numbers), *(how.waveform.arguments if how.waveform else ())]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise DeepDiveError(f"The RTL simulation did not end in {timeout:.0f} s.") from None
    words = done.stdout.split()
    if done.returncode not in (0, 1) or len(words) < 2:
        raise DeepDiveError(f"The RTL simulation failed: {done.stderr.strip() or done.stdout.strip()}")
    return int(words[-2]), words[-1] == "complete"


def traffic(folder: Path, name: str) -> Traffic:
    """What the monitor `name` saw in the last run."""
    counts = [int(word) for word in (folder / f"{name}.counts").read_text(encoding="ascii").split()]
    frames = np.array([int(word) for word in (folder / f"{name}.frames").read_text(encoding="ascii").split()])
    beats, blocked, starved, broken, valid, ready = counts
    held, idle = bool(valid and not ready), bool(ready and not valid)
    return Traffic(beats, blocked, starved, broken, frames.reshape(-1, 2), held, idle)
