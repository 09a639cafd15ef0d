"""One run of open synthesis: Verilog in, a netlist of FPGA primitives out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from deepdive.backends.verilog.yosys import yosys
from deepdive.simulation.bench import part
from deepdive.simulation.netlist import Module, read_netlist

Family = Literal["xcup", "xc7"]
ROM = "deepdive_rom.v"
BLOCK_RAM_CONTENTS = "brams_defs.vh"
TIMEOUT_S = 3600.0

# Yosys 0.70 stops in ABC9 on UltraScale+; ABC works. Apart from that, steps and costs are those of synth_xilinx.
SCRIPT = """read_verilog -defer {sources}
synth_xilinx -family {family} -top {top} -noiopad -run begin:map_luts
opt_expr -mux_undef -noclkinv
abc -luts 2:2,3,6:5,10,20
clean
xilinx_srl -fixed -minlen 3
techmap -map +/xilinx/lut_map.v -map +/xilinx/cells_map.v -D LUT_WIDTH=6
xilinx_dffopt
opt_lut_ins -tech xilinx
clean
blackbox =A:whitebox
write_json netlist.json
"""


def map_to_primitives(folder: Path, sources: Sequence[str], top: str, family: Family = "xcup") -> dict[str, Module]:
    """The modules below `top`, hierarchy kept; `folder` holds the sources and the ROMs' images.

    ``deepdive_rom.v`` in the folder is replaced by the one that leaves the contents of block RAMs out.

    Raises
    ------
    DeepDiveError
        When Yosys fails or takes longer than an hour.
    """
    (folder / ROM).write_text(part("synthesis_rom.v"), encoding="utf-8")
    (folder / BLOCK_RAM_CONTENTS).write_text(part(BLOCK_RAM_CONTENTS), encoding="utf-8")
    yosys(SCRIPT.format(sources=" ".join(sources), family=family, top=top), folder, timeout=TIMEOUT_S)
    return read_netlist(folder / "netlist.json")
