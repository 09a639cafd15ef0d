"""The scripts for Vitis HLS and Vivado, run under tclsh against a mock of the tools' commands; and what they build."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from deepdive.backends.vitis import write_project
from deepdive.backends.vitis.tcl import fifo_depth
from deepdive.compiler.design import Design
from deepdive.errors import DeepDiveError
from deepdive.hardware.boards import Board, board_names, load_board
from deepdive.hardware.stream import Stream
from deepdive.qnet import QNet
from foldings import drawn_design
from networks import four_block_network
from tcl_mock import MOCK, make, needs_make, needs_tclsh, tcl

SEED = 1
"""Of a folding with weights in memory, and output beats of five bytes, which no DMA has."""


def project(folder: Path, board: Board | str = "zcu102", net: QNet | None = None, seed: int = SEED) -> Design:
    """Write a project into `folder`."""
    net = net or four_block_network(0)
    design = drawn_design(net, load_board(board) if isinstance(board, str) else board, seed)
    folder.mkdir(exist_ok=True)
    write_project(design, net, folder)
    return design


def cores(folder: Path, design: Design) -> None:
    """What `make csynth` leaves."""
    for unit in design.units:
        (folder / "vitis" / unit.name / "solution" / "impl" / "ip").mkdir(parents=True)


def system(folder: Path, **environment: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    return tcl(folder / "tcl" / "system.tcl", folder / "vivado", **environment)


def test_text_is_the_golden_text(tmp_path: Path, golden: Callable[[str, Mapping[str, str]], None]) -> None:
    project(tmp_path)
    paths = [path for path in (*tmp_path.glob("tcl/**/*"), *tmp_path.glob("cosim/*.cpp")) if path.is_file()]
    paths.append(tmp_path / "README.md")
    golden("four_blocks_board", {path.relative_to(tmp_path).as_posix(): path.read_text() for path in paths})


@needs_tclsh
@pytest.mark.parametrize("board", board_names())
def test_every_board_gets_a_whole_system(board: str, tmp_path: Path) -> None:
    design = project(tmp_path, board)
    cores(tmp_path, design)
    done, log = system(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "validated" in log
    assert (tmp_path / "bitstream" / "deepdive.bit").is_file()
    assert (tmp_path / "bitstream" / "deepdive.hwh").is_file()
    names = [unit.name for unit in design.units]
    links = dict(line.split()[1:] for line in log if line.startswith("connect "))
    first = links["dma/M_AXIS_MM2S"]
    if design.units[0].input.lanes not in (1, 2, 4, 8):  # two pixels of three channels are no width of a DMA engine
        assert first == "input_width/S_AXIS"
        first = links["input_width/M_AXIS"]
    assert first == f"{names[0]}/input_r"
    for before, after in pairwise([*names, "last_beat"]):
        deep = next(unit.output.depth for unit in design.units if unit.name == before)
        end = links[f"{before}/output_r"]
        if deep > 2:
            assert end == f"{before}_fifo/S_AXIS"
            end = links[f"{before}_fifo/M_AXIS"]
        assert end == ("last_beat/s_axis" if after == "last_beat" else f"{after}/input_r")
    given = {line.split()[1]: int(line.split()[3]) for line in log if "CONFIG.FIFO_DEPTH" in line}
    for unit in design.units:
        assert unit.output.depth <= given.get(f"{unit.name}_fifo", 2) <= max(16, 2 * unit.output.depth)
    assert f"create_project {design.board.part}" in log
    assert f"set_property board_part {design.board.board_part}:1.10 project" in log  # the newest, 1.10, not 1.9
    old = design.board.part.startswith("xc7z")
    processor = "processing_system7" if old else "zynq_ultra_ps_e"
    assert f"cell processor xilinx.com:ip:{processor}" in log
    clock = "PCW_FPGA0_PERIPHERAL_FREQMHZ" if old else "PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ"
    assert f"set processor CONFIG.{clock} {design.clock_mhz:g}" in log


@needs_tclsh
def test_weights_come_over_the_ports_that_the_images_leave(tmp_path: Path) -> None:
    design = project(tmp_path)
    cores(tmp_path, design)
    _, log = system(tmp_path)
    readers = [line.split() for line in log if line.startswith("connect") and "/m_axi_" in line]
    expected = sum(getattr(stage, "weights", "") == "external" for unit in design.units for stage in unit.stages)
    assert len(readers) == expected > 1
    ports = min(expected, 3)
    assert [line[2] for line in readers[:ports]] == [f"weights_memory{port}/S00_AXI" for port in range(1, ports + 1)]
    assert "connect dma_memory/M00_AXI processor/S_AXI_HP0_FPD" in log
    assert "connect weights_memory2/M00_AXI processor/S_AXI_HP2_FPD" in log
    assert "set dma_memory CONFIG.NUM_SI 2" in log


@needs_tclsh
def test_the_fingerprint_and_the_frames_end_are_in_the_hardware(tmp_path: Path) -> None:
    design = project(tmp_path)
    cores(tmp_path, design)
    _, log = system(tmp_path)
    for index in range(2):
        word = design.fingerprint[8 * index : 8 * index + 8]
        assert f"set fingerprint_word{index} CONFIG.CONST_VAL 0x{word}" in log
    output = design.units[-1].output
    assert f"set last_beat CONFIG.BEATS {output.beats}" in log
    assert f"set last_beat CONFIG.WIDTH {8 * output.lanes}" in log
    assert output.lanes == 5
    assert "set output_width CONFIG.S_TDATA_NUM_BYTES 5" in log
    assert "connect output_width/M_AXIS dma/S_AXIS_S2MM" in log


@needs_tclsh
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("validate_bd_design\n", "validate_bd_desing\n", "invalid command name"),
        ("set design [get_files system.bd]\n", "set design [get_files system.bd\n", "missing close-bracket"),
        ("incr index\n    }\n    connect_bd_intf_net", "incr index\n    connect_bd_intf_net", "missing close-brace"),
        ("make_wrapper -files $design", "make_wrapper -files $desing", "no such variable"),
        ("clocked last_beat aclk aresetn\n", "", "'last_beat/aclk' is open"),
        ("set stream [stream_pin $unit Master]\n", "", "is connected twice"),
        ("dma/S_AXIS_S2MM]\n", "dma/S_AXIS_MM2S]\n", "no interface 'dma/S_AXIS_MM2S'"),
        ("xilinx.com:ip:axi_gpio", "xilinx.com:ip:axi_gpoi", "no such core"),
    ],
)
def test_a_broken_script_fails(old: str, new: str, message: str, tmp_path: Path) -> None:
    """So that the mock is known to see what it is there for."""
    cores(tmp_path, project(tmp_path))
    script = tmp_path / "tcl" / "system.tcl"
    text = script.read_text()
    assert old in text
    script.write_text(text.replace(old, new, 1))
    done, _ = system(tmp_path)
    assert done.returncode == 1
    assert message in done.stderr


@needs_tclsh
def test_timing_that_is_not_met_and_a_board_that_is_not_installed_are_named(tmp_path: Path) -> None:
    cores(tmp_path, project(tmp_path))
    done, _ = system(tmp_path, MOCK_WNS="-0.31")
    assert done.returncode == 1
    assert "timing is not met: worst slack -0.31 ns at 250 MHz; compile the network again" in done.stderr
    assert not (tmp_path / "bitstream").exists()
    done, _ = system(tmp_path, MOCK_NO_BOARDS="1")
    assert done.returncode == 1
    assert "Vivado does not know the board xilinx.com:zcu102:part0; install its board files" in done.stderr


@needs_tclsh
def test_a_component_of_every_unit(tmp_path: Path) -> None:
    design = project(tmp_path)
    for unit in design.units:
        script = tmp_path / "tcl" / "units" / f"{unit.name}.tcl"
        done, log = tcl(script, tmp_path / "vitis", DEEPDIVE_STEP="csynth")
        assert done.returncode == 0, done.stderr
        assert f"set_top {unit.name}_unit" in log
        assert f"set_part {design.board.part}" in log
        assert "create_clock 4.0" in log
        assert f"export_design deepdive:units:{unit.name}_unit:1.0" in log
        flags = [line for line in log if line.startswith("add_files")]
        assert len(flags) == 2
        assert all("-std=c++17" in line and "include" not in line for line in flags)
    done, _ = tcl(script, tmp_path / "vitis", DEEPDIVE_STEP="cosmi")
    assert done.returncode == 1
    assert "DEEPDIVE_STEP is 'cosmi'; want csim, csynth or cosim" in done.stderr


@needs_tclsh
@needs_make
def test_make_bitstream_builds_the_cores_first_and_again_only_when_needed(tmp_path: Path) -> None:
    design = project(tmp_path)
    done = make(tmp_path, "bitstream")
    assert done.returncode == 0, done.stderr
    log = (tmp_path / "mock.log").read_text().splitlines()
    assert len([line for line in log if line.startswith("export_design")]) == len(design.units)
    assert log.index("validated") > log.index("csynth_design")
    (tmp_path / "mock.log").unlink()
    assert make(tmp_path, "bitstream").returncode == 0
    assert not (tmp_path / "mock.log").exists()
    assert make(tmp_path, "clean").returncode == 0
    assert not {"vitis", "vivado", "bitstream"} & {path.name for path in tmp_path.iterdir()}


def hostile_network() -> QNet:
    """Names that would leave a comment, a string, a list or a recipe, if they were let."""
    net = four_block_network(0)
    name = 'x [exec touch owned] }\\"; exec touch owned; $(shell touch owned) `touch owned` */ #'
    nodes = []
    renamed = {net.input.name: net.input.name}
    for node in net.nodes:
        renamed[node.name] = f"{name}{node.name}"
        links = (
            {"input": renamed[node.input]}
            if hasattr(node, "input")
            else {"inputs": tuple(renamed[one] for one in node.inputs)}
        )
        nodes.append(replace(node, output=replace(node.output, name=renamed[node.name]), **links))
    return QNet(name, net.input, tuple(nodes))


@needs_tclsh
@needs_make
def test_a_hostile_network_and_board_reach_no_tool(tmp_path: Path) -> None:
    board = load_board("zcu102")
    board = board.model_copy(update={"title": "z\n# $(shell touch owned) [exec touch owned] `touch owned`"})
    project(tmp_path / "project", board, hostile_network())
    done = make(tmp_path / "project", "bitstream")
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("owned")) == []
    for path in (tmp_path / "project").rglob("*"):
        if path.suffix in (".tcl", ".md", ".v", ".cpp", ".h", "") and path.is_file() and "vitis" not in path.parts:
            text = path.read_text()
            assert not re.search(r"\[exec|\$\(shell touch|`touch", text), path
            assert str(tmp_path) not in text


def test_no_board_file_reaches_tcl_with_more_than_a_name(tmp_path: Path) -> None:
    text = (Path(MOCK).parents[1] / "src/deepdive/hardware/boards/zcu102.toml").read_text()
    bad = tmp_path / "bad.toml"
    for name, value in (("part", "xczu9eg} ; exec id"), ("board_part", "a:b:c} [exec id]")):
        bad.write_text(re.sub(rf"^{name} = .*$", f'{name} = "{value}"', text, flags=re.M))
        with pytest.raises(DeepDiveError, match=f": {name}: "):
            load_board(bad)


def test_a_device_that_is_no_zynq_gets_units_but_no_system(tmp_path: Path) -> None:
    board = load_board("zcu102").model_copy(update={"part": "xc7a100tcsg324-1", "board_part": ""})
    project(tmp_path, board)
    assert not (tmp_path / "tcl" / "system.tcl").exists()
    assert (tmp_path / "tcl" / "units" / "head.tcl").exists()
    assert "The device is no Zynq" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize(("asked", "given"), [(2, 0), (3, 16), (16, 16), (17, 32), (32768, 32768)])
def test_a_fifo_between_units_is_as_deep_as_asked(asked: int, given: int) -> None:
    stream = Stream(name="x", height=1, width=1, channels=1, lanes=1, bits=8, depth=asked)
    assert fifo_depth(stream) == given


def test_a_fifo_deeper_than_any_is_refused() -> None:
    stream = Stream(name="x", height=1, width=1, channels=1, lanes=1, bits=8, depth=32769)
    with pytest.raises(DeepDiveError, match="Stream 'x' wants a FIFO of 32769 beats between two units"):
        fifo_depth(stream)


def test_more_readers_than_ports_are_refused(tmp_path: Path) -> None:
    board = load_board("zcu102")
    board = board.model_copy(update={"memory": board.memory.model_copy(update={"ports": 1})})
    with pytest.raises(
        DeepDiveError, match=r"stages read weights from memory, and the 0 free ports of 'zcu102' serve 0;"
    ):
        project(tmp_path, board)
