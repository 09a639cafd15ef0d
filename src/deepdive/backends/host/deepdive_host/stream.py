"""Frames in, frames out, several in flight: while the first units work on one frame, the last ones finish another."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from .accelerator import accelerator_fingerprint, check_memories, give_memories
from .device import Device
from .errors import RunFailed
from .network import Network, read_weights


@dataclass(frozen=True)
class Limits:
    """How a run is fed.

    Parameters
    ----------
    in_flight
        Frames that have been sent or are about to be, and have not come back.
    timeout_s
        How long the next frame may take to come back.
    """

    in_flight: int
    timeout_s: float


@dataclass(frozen=True)
class Run:
    """What came back.

    Parameters
    ----------
    codes
        (frames, height, width, channels) of the frames given, in their order; of the first round where there are more.
    frames
        How many came back, all rounds.
    seconds
        From the first send to the last frame's return.
    """

    codes: np.ndarray
    frames: int
    seconds: float


def check_fingerprint(device: Device, network: Network) -> None:
    """Refuse a bitstream of another network."""
    found = accelerator_fingerprint(device, network.accelerator) if network.accelerator else device.fingerprint()
    if found != network.fingerprint[:16]:
        raise RunFailed(
            f"The bitstream is of network {found}, this folder of '{network.name}' ({network.fingerprint[:16]}); "
            "copy the bitstream that was built with this folder."
        )


def run_frames(device: Device, network: Network, frames: np.ndarray, rounds: int, limits: Limits) -> Run:
    """Send all frames `rounds` times and collect what comes back.

    Raises
    ------
    RunFailed
        When a frame does not come back in time, a frame of a later round differs from that of the first, or memory
        answered the accelerator with an error.
    """
    held = prepare(device, network, rounds * len(frames))  # memory that nobody holds is given back
    try:
        run = feed(device, network, frames, rounds, limits)
    except RunFailed:
        check(device, network)
        raise
    check(device, network)
    del held
    return run


def check(device: Device, network: Network) -> None:
    """What the hardware itself says went wrong."""
    if network.accelerator:
        check_memories(device, network.accelerator)


def prepare(device: Device, network: Network, total: int) -> Any:
    """Give the hardware its memory, and start it if it waits for that; returns the memory."""
    if network.accelerator:
        return give_memories(device, network.accelerator)
    memory = load_memory(device, network)
    for unit in network.units:
        device.start(unit.name, total, {name: int(buffer.device_address) for name, buffer in memory[unit.name].items()})
    return memory


def feed(device: Device, network: Network, frames: np.ndarray, rounds: int, limits: Limits) -> Run:
    """Send all frames and collect what comes back."""
    total = rounds * len(frames)
    in_flight = max(limits.in_flight, network.frames_inside + 1)
    sources = [device.allocate(network.input.stream_shape, network.input.dtype) for _ in range(in_flight)]
    target = device.allocate(network.output.stream_shape, network.output.dtype)
    for source in sources:
        source[...] = 0
    codes: np.ndarray = np.empty((len(frames), *network.output.shape), network.output.dtype)
    filled = sent = received = 0
    device.receive(target)
    began = time.monotonic()
    deadline = began + limits.timeout_s
    while received < total:
        moved = False
        # The frame that was in this buffer before has come back, so it has long gone out.
        if filled < total and filled - received < in_flight:
            sources[filled % in_flight][..., : network.input.channels] = frames[filled % len(frames)]
            filled += 1
            moved = True
        if sent < filled and (sent == 0 or device.sent()):
            device.send(sources[sent % in_flight])
            sent += 1
            moved = True
        if device.received():
            target.invalidate()
            keep(codes, received, np.array(target[..., : network.output.channels]))
            received += 1
            if received < total:
                device.receive(target)
            deadline = time.monotonic() + limits.timeout_s
        elif not moved and time.monotonic() > deadline:
            raise RunFailed(
                f"Time-out: frame {received} of {total} did not come back within {limits.timeout_s:g} s "
                f"({sent} sent, {received} received; the send channel is {'done' if device.sent() else 'busy'}); "
                "power the board off and on before the next run."
            )
    return Run(codes, total, time.monotonic() - began)


def keep(codes: np.ndarray, index: int, found: np.ndarray) -> None:
    """Store a frame of the first round; compare one of a later round."""
    frame = index % len(codes)
    if index < len(codes):
        codes[frame] = found
    elif not np.array_equal(codes[frame], found):
        raise RunFailed(f"Frame {frame} gives other codes in round {index // len(codes)} than in the first.")


def load_memory(device: Device, network: Network) -> dict[str, dict[str, Any]]:
    """Weights that units read, and room for maps that they keep, in memory that they reach: by unit and register."""
    loaded: dict[str, dict[str, Any]] = {unit.name: {} for unit in network.units}
    for unit in network.units:
        for weights in unit.weights:
            content = read_weights(weights.file)
            buffer = device.allocate(content.shape, np.uint8)
            buffer[...] = content
            buffer.flush()
            loaded[unit.name][weights.register] = buffer
        for scratch in unit.scratch:
            buffer = device.allocate((scratch.size,), np.uint8)
            buffer[...] = 0
            buffer.flush()  # or what a cache still holds would overwrite maps later
            loaded[unit.name].update(dict.fromkeys(scratch.registers, buffer))
    return loaded
