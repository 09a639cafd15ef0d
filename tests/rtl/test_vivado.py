"""Vivado's scripts of the RTL project under tclsh: the core is packaged, and the system around it is whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from deepdive.backends.verilog import write_project
from deepdive.compiler.design import Design
from deepdive.compiler.shared import Sharing
from deepdive.hardware.boards import load_board
from deepdive.hardware.rtl.unit import unit_memories
from networks import Block, Separable
from rtl.test_shared_body import SMALL
from shared_designs import shared_design
from tcl_mock import make, needs_make, needs_tclsh, tcl


def write(folder: Path, board: str) -> Design:
    """A shared unit with maps and weights in memory between streamed ones, some with weights there."""
    net = Separable(8, 8, (4, 4), (Block(4), Block(4)), features=4, classes=2).build(0)
    design = shared_design(net, load_board(board), [(2, Sharing(SMALL))])
    write_project(design, net, folder)
    return design


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    write(folder, "zcu102")
    return folder


@pytest.fixture
def project(written: Path, tmp_path: Path) -> Path:
    """A copy of a project for the ZCU102."""
    return shutil.copytree(written, tmp_path / "rtl")


@needs_tclsh
@pytest.mark.parametrize("board", ["zcu102", "pynq-z2"])
def test_a_board_gets_a_whole_system(board: str, tmp_path: Path) -> None:
    design = write(tmp_path, board)
    done, log = tcl(tmp_path / "package.tcl", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "packaged deepdive_accelerator" in log
    assert "set_property value ACTIVE_HIGH rst.POLARITY" in log
    done, log = tcl(tmp_path / "tcl" / "system.tcl", tmp_path / "vivado")
    assert done.returncode == 0, done.stderr
    assert "validated" in log
    assert (tmp_path / "bitstream" / "deepdive.bit").is_file()
    assert (tmp_path / "bitstream" / "deepdive.hwh").is_file()
    links = dict(line.split()[1:] for line in log if line.startswith("connect "))
    ends = {"input_width/S_AXIS": "dma/M_AXIS_MM2S", "accelerator/s_axis": "dma/M_AXIS_MM2S"}
    assert links["dma/M_AXIS_MM2S"] in ends
    assert links["accelerator/m_axis"] in ("dma/S_AXIS_S2MM", "output_width/S_AXIS")
    masters = {f"accelerator/m_axi_{name}" for unit in design.units for m in unit_memories(unit) for name in m.masters}
    assert {name for name in links if name.startswith("accelerator/m_axi_")} == masters
    assert len(masters) > 3
    assert all(links[name].startswith("weights_memory") for name in masters)
    assert "net reset/peripheral_reset accelerator/rst" in log


@needs_tclsh
@pytest.mark.parametrize(
    ("script", "old", "new", "message"),
    [
        ("package.tcl", "-busif s_axi ", "-busif s_axii ", "no interface 's_axii'"),
        ("package.tcl", "ipx::associate_bus_interfaces -busif m_axis -clock clk $core\n", "", "no clock: m_axis"),
        ("package.tcl", "infer_bus_interface rst ", "infer_bus_interface reset ", "no port 'reset'"),
        ("tcl/system.tcl", "accelerator/rst]", "accelerator/clk]", "'accelerator/clk' is connected twice"),
        ("tcl/system.tcl", "lappend slaves [one", "set other [one", "'accelerator/s_axi' is open"),
    ],
)
def test_a_broken_script_fails(script: str, old: str, new: str, message: str, project: Path) -> None:
    """So that the mock is known to see what it is there for."""
    path = project / script
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    done, _ = tcl(project / "package.tcl", project)
    if script != "package.tcl":
        assert done.returncode == 0, done.stderr
        done, _ = tcl(path, project / "vivado")
    assert done.returncode == 1
    assert message in done.stderr


@needs_tclsh
@needs_make
def test_make_bitstream_packages_the_core_first(project: Path) -> None:
    done = make(project, "bitstream")
    assert done.returncode == 0, done.stderr
    log = (project / "mock.log").read_text().splitlines()
    assert log.index("packaged deepdive_accelerator") < log.index("validated")
    (project / "mock.log").unlink()
    assert make(project, "bitstream").returncode == 0
    assert not (project / "mock.log").exists()
    assert make(project, "clean").returncode == 0
    assert not {"ip", "vivado", "bitstream"} & {path.name for path in project.iterdir()}
