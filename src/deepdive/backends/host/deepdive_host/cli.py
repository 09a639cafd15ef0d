"""The command line: frames in, codes out, figures printed."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from .device import DMA, FINGERPRINT, Device
from .errors import HostError
from .network import Network, read_frames, read_network
from .power import HWMON, PowerMeter, find_sensors
from .pynq_device import PynqDevice
from .stream import Limits, Run, check_fingerprint, run_frames
from .xrt_device import XrtDevice

FOLDER = Path(__file__).resolve().parent.parent
SUFFIXES = {"pynq": "bit", "xrt": "xclbin"}
"""Of a bitstream, by the library that loads it."""


def main(arguments: list[str]) -> int:
    """Run frames on the board; returns the exit code."""
    options = parse(arguments)
    try:
        network = read_network(FOLDER)
        frames = read_frames(options.frames, network.input)
        bitstream = options.bitstream or FOLDER / f"deepdive.{SUFFIXES[options.api]}"
        device = open_device(options.api, bitstream, network)
        check_fingerprint(device, network)
        meter = PowerMeter(find_sensors(options.hwmon))
        with meter:
            run = run_frames(device, network, frames, options.repeat, Limits(options.in_flight, options.timeout))
        if options.output:
            save(options.output, run.codes)
    except HostError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    tell(network, run, meter, options.json)
    return 0


def open_device(api: str, bitstream: Path, network: Network) -> Device:
    """Load the bitstream; only the library asked for is imported."""
    cores = (DMA, network.accelerator.core if network.accelerator else FINGERPRINT)
    return XrtDevice(bitstream, cores) if api == "xrt" else PynqDevice(bitstream, cores)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options; wrong ones end the program with exit code 2."""
    parser = argparse.ArgumentParser(prog="run.py", description="Runs frames on the board and measures.")
    parser.add_argument("frames", type=Path, help="an .npy file: uint8 (frames, height, width, channels)")
    parser.add_argument("-o", "--output", type=Path, help="an .npy file for the output codes")
    parser.add_argument("--api", choices=sorted(SUFFIXES), default="pynq", help="the library that reaches the board")
    parser.add_argument("--bitstream", type=Path, help="default: deepdive.bit or .xclbin here; its .hwh lies beside it")
    parser.add_argument("--repeat", type=positive, default=1, help="run all frames so many times")
    parser.add_argument("--in-flight", type=positive, default=4, help="frames on their way at a time")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds that a frame may take to come back")
    parser.add_argument("--hwmon", type=Path, default=HWMON, help="where the power sensors are")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    """A number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not at least 1")
    return number


def save(path: Path, codes: np.ndarray) -> None:
    """Write the codes."""
    try:
        with path.open("wb") as file:
            np.save(file, codes, allow_pickle=False)
    except OSError as error:
        raise HostError(f"Cannot write '{path}': {error.strerror}.") from None


def tell(network: Network, run: Run, meter: PowerMeter, as_json: bool) -> None:
    """Print what was measured, and the class of each frame where there are classes."""
    fps, power_w = run.frames / run.seconds, meter.mean_w
    classes = [int(one) for one in run.codes.reshape(len(run.codes), -1).argmax(axis=1)]
    if as_json:
        figures: dict[str, Any] = {"frames": run.frames, "seconds": run.seconds, "fps": fps, "power_w": power_w}
        figures["fps_per_watt"] = fps / power_w if power_w else None
        figures["sensors"] = [sensor.name for sensor in meter.sensors]
        figures["sensor_lost"] = meter.lost or None
        print(json.dumps({**figures, "label": "measured", "classes": classes}))
        return
    if network.labels:
        for frame, index in enumerate(classes):
            label = "".join(char if char.isprintable() else "?" for char in network.labels[index])
            print(f"frame {frame}: {label} ({index})")
    print(f"{run.frames} frames in {run.seconds:.3f} s: {fps:.1f} FPS (measured)")
    if power_w:
        print(f"{power_w:.2f} W, {fps / power_w:.2f} FPS/W (measured: sum of {len(meter.sensors)} sensors)")
    elif meter.lost:
        print(f"power not measured: sensor '{meter.lost}' vanished while frames ran", file=sys.stderr)
    else:
        print("power not measured: there is no INA226 sensor", file=sys.stderr)
