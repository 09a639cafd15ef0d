"""The runtime on the board, run as a user runs it, against a board that is files: tests/board/pynq.py."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepdive.backends.build import write_build
from deepdive.backends.host import write_host
from deepdive.backends.vitis.unit_code import unit_code
from deepdive.backends.writers import writers
from deepdive.compiler.design import Design
from deepdive.hardware.boards import load_board
from deepdive.qnet import QNet
from foldings import drawn_design
from networks import four_block_network

BOARD = Path(__file__).resolve().parents[1] / "board"


@pytest.fixture(scope="module")
def net() -> QNet:
    return four_block_network(0)


@pytest.fixture(scope="module")
def design(net: QNet) -> Design:
    return drawn_design(net, load_board("zcu102"), 1)


class Host:
    """A written runtime with a board, its bitstream and a few frames."""

    def __init__(self, folder: Path, design: Design, net: QNet, api: str) -> None:
        self.folder = folder / "host"
        self.folder.mkdir()
        write_host(design, net, self.folder)
        self.api = api
        for suffix in ("bit", "xclbin", "hwh"):
            (self.folder / f"deepdive.{suffix}").touch()
        units: dict[str, dict[str, int]] = {}
        for unit in design.units:
            names = [port.name for port in unit_code(unit, net).ports]
            found = [f"{name}_{half}" for name in names for half in (1, 2)]
            units[unit.name] = {name: 0x10 + 4 * at for at, name in enumerate([*found, "frames"])}
        self.board: dict[str, Any] = {"fingerprint": design.fingerprint[:16], "units": units}
        self.state = folder / "board.json"
        self.hwmon = folder / "hwmon"
        self.frames = np.random.default_rng(0).integers(0, 256, (5, *net.input.shape)).astype(np.uint8)
        np.save(folder / "frames.npy", self.frames)

    def sensor(self, index: int, name: str, microwatts: str) -> Path:
        """A sensor as Linux shows it."""
        folder = self.hwmon / f"hwmon{index}"
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "power1_input").write_text(f"{microwatts}\n")
        return folder / "power1_input"

    def run(self, *options: str, **board: object) -> subprocess.CompletedProcess[str]:
        values = {**self.board, **board}
        self.state.write_text(json.dumps(values))
        if (self.folder / "deepdive.hwh").exists():
            (self.folder / "deepdive.hwh").write_text(handoff(values))
        self.state.with_suffix(".log").unlink(missing_ok=True)
        command = [sys.executable, "run.py", "../frames.npy", "--timeout", "1", "--hwmon", str(self.hwmon), *options]
        command += ["--api", self.api] if self.api != "pynq" else []
        environment = {"PATH": os.environ["PATH"], "FAKE_BOARD": str(self.state), "PYTHONPATH": str(BOARD)}
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    @property
    def written(self) -> list[Any]:
        """What went into each unit's registers."""
        return [json.loads(line) for line in self.state.with_suffix(".log").read_text().splitlines()]


def handoff(board: dict[str, Any]) -> str:
    """The hardware hand-off file of a board: cores and the offsets of their registers."""
    cores = {"dma": {}, "fingerprint": {}, **board["units"]}
    cores.pop(board.get("no_core"), None)
    modules = "".join(
        f'<MODULE INSTANCE="{name}"><ADDRESSBLOCKS><ADDRESSBLOCK><REGISTERS>'
        + "".join(
            f'<REGISTER NAME="{register}"><PROPERTY NAME="ADDRESS_OFFSET" VALUE="{offset}"/></REGISTER>'
            for register, offset in registers.items()
        )
        + "</REGISTERS></ADDRESSBLOCK></ADDRESSBLOCKS></MODULE>"
        for name, registers in cores.items()
    )
    return f"<EDKSYSTEM><MODULES>{modules}</MODULES></EDKSYSTEM>"


@pytest.fixture(params=["pynq", "xrt"])
def host(tmp_path: Path, design: Design, net: QNet, request: pytest.FixtureRequest) -> Host:
    """The same board through either library."""
    return Host(tmp_path, design, net, request.param)


def expected(host: Host, net: QNet) -> np.ndarray:
    """What the board makes of the frames."""
    size = int(np.prod(net.output.shape))
    sums = host.frames.reshape(len(host.frames), -1).astype(np.int64).sum(axis=1)
    codes = (np.arange(size) * 7 + sums[:, None]) % 251
    return codes.astype(net.output.dtype).reshape(-1, *net.output.shape)


@pytest.mark.parametrize("latency", [0, 1, 3])
def test_frames_come_back_in_order_however_many_are_inside(latency: int, host: Host, net: QNet) -> None:
    """With a latency of 3 frames nothing comes out unless four are in flight."""
    done = host.run("-o", "codes.npy", "--in-flight", "4", latency=latency)
    assert done.returncode == 0, done.stderr
    codes = np.load(host.folder / "codes.npy")
    assert codes.dtype == net.output.dtype
    assert (codes == expected(host, net)).all()
    assert codes.shape == (5, *net.output.shape)
    assert len({code.tobytes() for code in codes}) == 5


def test_too_few_in_flight_for_the_latency_time_out(host: Host) -> None:
    done = host.run("--in-flight", "3", latency=3)
    assert done.returncode == 1
    assert "frame 0 of 5 did not come back within 1 s (3 sent, 0 received; the send channel is done)" in done.stderr


def test_rounds_are_compared_and_counted(host: Host) -> None:
    done = host.run("--repeat", "4", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["frames"] == 20
    assert found["label"] == "measured"
    assert [values["frames"] for _, values in host.written] == [20] * len(host.board["units"])
    done = host.run("--repeat", "2", unsteady=True)
    assert done.returncode == 1
    assert done.stderr == "error: Frame 0 gives other codes in round 1 than in the first.\n"


def test_units_get_the_addresses_of_their_weights(host: Host, design: Design, net: QNet) -> None:
    assert host.run().returncode == 0
    loaded = {name: values for unit, written in host.written for name, values in written.items()}
    ports = [port for unit in design.units for port in unit_code(unit, net).ports]
    assert len(ports) > 1
    for port in ports:
        assert port.buffer.image is not None
        assert loaded[port.name] == port.buffer.image.astype(np.int64).sum()


def test_a_dma_that_never_finishes_is_named(host: Host) -> None:
    done = host.run(hang_after=2)
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(
        r"error: Time-out: frame 2 of 5 did not come back within 1 s \(5 sent, 2 received; the send channel is done\); "
        r"power the board off and on before the next run\.\n",
        done.stderr,
    )


@pytest.mark.parametrize(
    ("board", "code", "message"),
    [
        (
            {"fingerprint": "0123456789abcdef"},
            1,
            "The bitstream is of network 0123456789abcdef, this folder of 'four blocks'",
        ),
        ({"no_core": "fingerprint"}, 1, "holds no core 'fingerprint'; it is no bitstream of DeepDive."),
        ({"no_core": "body1"}, 1, "The bitstream holds no unit 'body1'; build it again"),
        ({"busy": "tail"}, 1, "Unit 'tail' is still busy with an earlier run"),
        ({"error_after": 1}, 1, "The DMA's receive channel reports an error"),
    ],
)
def test_a_wrong_bitstream_is_refused(board: dict[str, Any], code: int, message: str, host: Host) -> None:
    done = host.run(**board)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_bitstream_is_refused_before_anything_runs(host: Host) -> None:
    assert host.run(fingerprint="0" * 16).returncode == 1
    assert not host.state.with_suffix(".log").exists()


def test_power_is_the_sum_of_the_sensors(host: Host) -> None:
    host.sensor(0, "ina226_u76", "1500000")
    host.sensor(1, "ina226", "250000")
    host.sensor(2, "coretemp", "9000000")
    done = host.run("--json", seconds=0.02)
    found = json.loads(done.stdout)
    assert found["power_w"] == 1.75
    assert found["sensors"] == ["ina226_u76", "ina226"]
    assert found["fps_per_watt"] == found["fps"] / 1.75
    assert 5 / found["seconds"] == found["fps"] <= 50
    words = host.run().stdout
    assert re.search(r"5 frames in [0-9.]+ s: [0-9.]+ FPS \(measured\)\n", words)
    assert re.search(r"1\.75 W, [0-9.]+ FPS/W \(measured: sum of 2 sensors\)\n", words)


def test_a_sensor_that_vanishes_takes_the_watts_with_it(host: Host) -> None:
    host.sensor(0, "ina226", "1500000")
    gone = host.sensor(1, "ina226_u79", "250000")
    done = host.run("--json", vanish=str(gone))
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert found["power_w"] is None
    assert found["fps_per_watt"] is None
    assert found["sensor_lost"] == "ina226_u79"
    gone.write_text("250000\n")
    done = host.run(vanish=str(gone))
    assert " W" not in done.stdout
    assert done.stderr == "power not measured: sensor 'ina226_u79' vanished while frames ran\n"


def test_no_sensor_is_said(host: Host) -> None:
    done = host.run()
    assert done.returncode == 0
    assert "FPS (measured)" in done.stdout
    assert done.stderr == "power not measured: there is no INA226 sensor\n"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "deepdive.hwh").unlink(), "deepdive.hwh'; build it with 'make bitstream' and copy it here."),
        (
            lambda f: (f / "network.json").unlink(),
            "network.json': No such file or directory; write the build folder again.",
        ),
        (lambda f: (f / "network.json").write_text("{}"), "is no description of a network ('network')"),
        (
            lambda f: np.save(f / "../frames.npy", np.zeros((1, 2, 3, 4), np.uint8)),
            "holds uint8 (1, 2, 3, 4); the network",
        ),
        (lambda f: np.save(f / "../frames.npy", np.load(f / "../frames.npy")[:0]), "holds no frame."),
        (lambda f: (f / "../frames.npy").write_text("hello"), "is no .npy file"),
        (lambda f: (f / "../frames.npy").unlink(), "Cannot read '../frames.npy': No such file or directory."),
        (lambda f: next((f / "weights").iterdir()).unlink(), "No such file or directory; copy the whole folder."),
    ],
)
def test_what_the_user_can_mend_exits_with_2(spoil: Callable[[Path], object], message: str, host: Host) -> None:
    spoil(host.folder)
    done = host.run()
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_codes_out_of_range_are_refused(host: Host, design: Design, net: QNet) -> None:
    values = json.loads((host.folder / "network.json").read_text())
    values["input"]["bits"] = 4
    (host.folder / "network.json").write_text(json.dumps(values))
    done = host.run()
    assert done.returncode == 2
    assert "the network takes 0..15." in done.stderr


def test_channels_that_pad_the_stream_are_zeros_and_cut_off(host: Host, net: QNet) -> None:
    values = json.loads((host.folder / "network.json").read_text())
    values["input"]["stream_channels"] += 2
    values["output"]["stream_channels"] += 1
    (host.folder / "network.json").write_text(json.dumps(values))
    assert host.run("-o", "codes.npy").returncode == 0
    height, width, channels = net.output.shape
    sums = host.frames.reshape(len(host.frames), -1).astype(np.int64).sum(axis=1)
    codes = (np.arange(height * width * (channels + 1)) * 7 + sums[:, None]) % 251
    wanted = codes.astype(net.output.dtype).reshape(-1, height, width, channels + 1)[..., :channels]
    assert (np.load(host.folder / "codes.npy") == wanted).all()


def test_every_file_is_python_3_8_without_deepdive(host: Host) -> None:
    files = sorted(host.folder.rglob("*.py"))
    assert len(files) > 5
    for file in files:
        tree = ast.parse(file.read_text(), feature_version=(3, 8))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            roots = {name.split(".")[0] for name in names}
            assert roots <= {*sys.stdlib_module_names, "numpy", "pynq", "pyxrt", "deepdive_host"}, file


def test_a_build_holds_the_runtime(tmp_path: Path, design: Design, net: QNet) -> None:
    write_build(design, net, tmp_path / "build", writers("hls"))
    names = {path.name for path in (tmp_path / "build").iterdir()}
    assert {"hls", "host", "design.json", "net.onnx"} == names
    assert (tmp_path / "build" / "host" / "run.py").is_file()
    texts = [
        path.read_text()
        for path in (tmp_path / "build" / "host").rglob("*")
        if path.suffix != ".bin" and path.is_file()
    ]
    assert not any(str(tmp_path) in text for text in texts)
