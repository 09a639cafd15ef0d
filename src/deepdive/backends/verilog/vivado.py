"""The Tcl script that packages the Verilog as an IP core for Vivado."""

from __future__ import annotations

from deepdive.compiler.design import Design
from deepdive.hardware.rtl.unit import unit_memories


def packaging_script(design: Design, top: str) -> str:
    """Tcl for ``vivado -mode batch -source package.tcl``, run in the project's folder: writes the folder ``ip``."""
    memories = [memory for unit in design.units for memory in unit_memories(unit)]
    ports = [f"m_axi_{master}" for memory in memories for master in memory.masters]
    weights = "".join(f"ipx::associate_bus_interfaces -busif {port} -clock clk $core\n" for port in ports)
    return f"""# Packages the accelerator as an IP core in ./ip. In this folder: vivado -mode batch -source package.tcl
create_project -in_memory -part {design.board.part}
add_files [glob *.v]
add_files [glob *.mem]
set_property top {top} [current_fileset]
ipx::package_project -root_dir ip -vendor deepdive -library rtl -taxonomy /UserIP -import_files -force
set core [ipx::current_core]
set_property name {top} $core
set_property version 1.0 $core
ipx::infer_bus_interface clk xilinx.com:signal:clock_rtl:1.0 $core
ipx::associate_bus_interfaces -busif s_axis -clock clk $core
ipx::associate_bus_interfaces -busif m_axis -clock clk $core
ipx::associate_bus_interfaces -busif s_axi -clock clk $core
{weights}ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::check_integrity $core
ipx::save_core $core
"""
