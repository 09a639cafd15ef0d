"""Vivado's scripts of the RTL project under tclsh: the core is packaged, and the system around it is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepdive.backends.verilog import write_project
from deepdive.compiler.design import Design
from deepdive.compiler.shared import Sharing
from deepdive.hardware.boards import board_names, load_board
from deepdive.hardware.rtl.unit import unit_memories
from networks import Block, Separable
from rtl.test_shared_body import SMALL
from shared_designs import shared_design
from tcl_mock import make, needs_make, needs_tclsh, tcl


def project(folder: Path, board: str = "zcu102") -> Design:
    """A shared unit with maps and weights in memory between streamed ones, some with weights there."""
    net = Separable(8, 8, (4, 4), (Block(4), Block(4)), features=4, classes=2).build(0)
    design = shared_design(net, load_board(board), [(2, Sharing(SMALL))])
    folder.mkdir(exist_ok=True)
    write_project(design, net, folder)
    return design


@needs_tclsh
@pytest.mark.parametrize("board", board_names())
def test_every_board_gets_a_whole_system(board: str, tmp_path: Path) -> None:
    design = project(tmp_path, board)
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
def test_a_broken_script_fails(script: str, old: str, new: str, message: str, tmp_path: Path) -> None:
    """So that the mock is known to see what it is there for."""
    project(tmp_path)
    path = tmp_path / script
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    done, _ = tcl(tmp_path / "package.tcl", tmp_path)
    if script != "package.tcl":
        assert done.returncode == 0, done.stderr
        done, _ = tcl(path, tmp_path / "vivado")
    assert done.returncode == 1
    assert message in done.stderr


@needs_tclsh
@needs_make
def test_make_bitstream_packages_the_core_first(tmp_path: Path) -> None:
    project(tmp_path)
    done = make(tmp_path, "bitstream")
    assert done.returncode == 0, done.stderr
    log = (tmp_path / "mock.log").read_text().splitlines()
    assert log.index("packaged deepdive_accelerator") < log.index("validated")
    (tmp_path / "mock.log").unlink()
    assert make(tmp_path, "bitstream").returncode == 0
    assert not (tmp_path / "mock.log").exists()
    assert make(tmp_path, "clean").returncode == 0
    assert not {"ip", "vivado", "bitstream"} & {path.name for path in tmp_path.iterdir()}
