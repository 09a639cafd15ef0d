"""A shared unit's part of the projects: its C++, its memory ports in the board's system, its buffers on the host."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deepdive.backends.host.write import write_host
from deepdive.backends.vitis import write_project
from deepdive.backends.vitis.unit_code import unit_code
from deepdive.compiler.design import Design
from deepdive.compiler.shared import Sharing
from deepdive.errors import DeepDiveError
from deepdive.hardware.boards import load_board
from deepdive.hardware.stages import PointwiseFolding, SharedBody, SharedFolding
from deepdive.qnet import FeatureMap, QNet
from networks import NetworkBuilder, Numbers, Window, four_block_network
from shared_designs import shared_design

MOCK = Path(__file__).resolve().parents[1] / "amd_tools.tcl"
BOARD = Path(__file__).resolve().parents[1] / "board"
FOLDING = SharedFolding(
    expand=PointwiseFolding(in_lanes=4, out_parallel=8, lanes=4),
    middle_lanes=4,
    project=PointwiseFolding(in_lanes=4, out_parallel=4, lanes=4),
    memory_lanes=4,
)
MASTERS = ("maps", "ends", "weights")


@pytest.fixture(scope="module")
def net() -> QNet:
    return four_block_network(0, weight_bits=4)


@pytest.fixture(scope="module")
def design(net: QNet) -> Design:
    return shared_design(net, load_board("zcu102"), [(2, Sharing(FOLDING, batch=2))], seed=1)


def shared_stage(design: Design) -> SharedBody:
    (stage,) = (stage for unit in design.units for stage in unit.stages if isinstance(stage, SharedBody))
    return stage


def test_text_is_the_golden_text(
    net: QNet, design: Design, tmp_path: Path, golden: Callable[[str, Mapping[str, str]], None]
) -> None:
    write_project(design, net, tmp_path)
    paths = [tmp_path / "units" / name for name in ("body1.cpp", "body1.h", "body1_shared.h")]
    golden("shared_body", {path.relative_to(tmp_path).as_posix(): path.read_text() for path in paths})


def test_the_image_of_weights_is_as_large_as_the_model_says(net: QNet, design: Design) -> None:
    stage = shared_stage(design)
    (unit,) = (unit for unit in design.units if stage in unit.stages)
    buffers = {buffer.name: buffer for buffer in unit_code(unit, net).buffers}
    assert buffers[stage.name].words == sum(stage.weight_words(block) for block in stage.blocks)
    maps = [block.shape for block in stage.blocks] + [stage.blocks[-1].output]
    slots = sum(map(stage.words, maps)) + stage.words(maps[0]) + stage.words(maps[-1])
    assert buffers[f"{stage.name}_maps"].words == stage.batch * slots


def test_a_hostile_name_stays_a_comment(net: QNet, tmp_path: Path) -> None:
    hostile = 'x" */ $(shell id) ??/ #include "/etc/passwd"\\'
    names = {node.name: f"{hostile}{node.name}" for node in net.nodes}
    nodes = []
    for node in net.nodes:
        node = replace(node, output=replace(node.output, name=names[node.name]))
        if hasattr(node, "input"):
            nodes.append(replace(node, input=names.get(node.input, node.input)))
        else:
            nodes.append(replace(node, inputs=tuple(names.get(name, name) for name in node.inputs)))
    bad = QNet(hostile, net.input, tuple(nodes))
    write_project(shared_design(bad, load_board("zcu102"), [(2, Sharing(FOLDING))], seed=1), bad, tmp_path)
    text = (tmp_path / "units" / "body1_shared.h").read_text()
    assert "/etc" not in text
    assert "$(shell" not in text
    assert "*/" not in text
    assert "\\\n" not in text


@pytest.mark.skipif(shutil.which("tclsh") is None, reason="tclsh is not installed")
def test_the_system_connects_its_memory_ports(net: QNet, design: Design, tmp_path: Path) -> None:
    write_project(design, net, tmp_path)
    for unit in design.units:
        (tmp_path / "vitis" / unit.name / "solution" / "impl" / "ip").mkdir(parents=True)
    (tmp_path / "vivado").mkdir()
    script = tmp_path / "tcl" / "system.tcl"
    log = tmp_path / "mock.log"
    command = ["tclsh", str(MOCK), str(script)]
    environment = {"MOCK_LOG": str(log), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command, cwd=tmp_path / "vivado", env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    masters = [line.split()[1] for line in log.read_text().splitlines() if line.startswith("connect body1/m_axi_")]
    assert sorted(masters) == sorted(f"body1/m_axi_body1_shared_{name}" for name in MASTERS)


def test_the_host_gives_room_for_its_maps(net: QNet, design: Design, tmp_path: Path) -> None:
    """Every pointer of the unit is a register that the host writes: those to maps all with one address."""
    write_project(design, net, tmp_path)
    (tmp_path / "host").mkdir()
    write_host(design, net, tmp_path / "host")
    found = json.loads((tmp_path / "host" / "network.json").read_text())
    (unit,) = (unit for unit in found["units"] if unit["name"] == "body1")
    (scratch,) = unit["scratch"]
    source = (tmp_path / "units" / "body1.cpp").read_text()
    pointers = re.findall(r"#pragma HLS interface m_axi port=(\w+)", source)
    assert sorted(pointers) == sorted([*scratch["registers"], *(one["register"] for one in unit["weights"])])
    code = unit_code(design.units[1], net)
    assert scratch["bytes"] == next(buffer for buffer in code.buffers if buffer.image is None).words * 4
    assert found["frames_inside"] == 3 * 2
    image = np.fromfile(tmp_path / "host" / unit["weights"][0]["file"], dtype=np.uint8)
    assert image.size == 16 * next(buffer.words for buffer in code.images)


def test_the_runtime_keeps_enough_frames_in_flight(net: QNet, design: Design, tmp_path: Path) -> None:
    """However few are asked for. The board that is files fails when a pointer's memory is not flushed or not there."""
    write_host(design, net, tmp_path)
    units: dict[str, dict[str, int]] = {}
    for unit in design.units:
        names = [f"{port.name}_{half}" for port in unit_code(unit, net).ports for half in (1, 2)]
        units[unit.name] = {name: 0x10 + 4 * at for at, name in enumerate([*names, "frames"])}
    board = {"fingerprint": design.fingerprint[:16], "units": units, "latency": 3 * 2}
    (tmp_path / "board.json").write_text(json.dumps(board))
    for suffix in ("bit", "hwh"):
        (tmp_path / f"deepdive.{suffix}").touch()
    np.save(tmp_path / "frames.npy", np.zeros((9, *net.input.shape), np.uint8))
    command = [sys.executable, "run.py", "frames.npy", "--timeout", "1", "--in-flight", "1", "--hwmon", "none"]
    environment = {"PATH": "/usr/bin:/bin", "FAKE_BOARD": str(tmp_path / "board.json"), "PYTHONPATH": str(BOARD)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    (values,) = (
        values for name, values in map(json.loads, (tmp_path / "board.log").read_text().splitlines()) if name == "body1"
    )
    stage = shared_stage(design)
    assert values[f"{stage.name}_maps_read"] == values[f"{stage.name}_ends_write"] == 0
    assert values[f"{stage.name}_maps_read_1"] == values[f"{stage.name}_maps_write_1"]
    assert values[f"{stage.name}_maps_read_2"] == values[f"{stage.name}_maps_write_2"] > 0
    assert values[f"{stage.name}_weights"] > 0


def test_a_window_on_a_map_with_a_zero_point_a_channel_is_refused(tmp_path: Path) -> None:
    """Only a network's input has such, and a shared body fills its windows with one for all channels."""
    builder = NetworkBuilder(FeatureMap("image", (8, 8, 3), 8, False, 1 / 64, (124, 116, 104)), 0)
    x = builder.depthwise("first", builder.source, Window.same(3), Numbers())
    builder.conv("second", x, 4, Window(), Numbers())
    net = builder.build()
    design = shared_design(net, load_board("zcu102"), [(1, Sharing(FOLDING))])
    with pytest.raises(DeepDiveError, match="Feature map 'image' has a zero point per channel"):
        write_project(design, net, tmp_path)
