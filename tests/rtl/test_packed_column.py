"""Two weights and a code in one multiplier of the RTL, or two codes and a weight: all of them with all others."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from deepdive.backends.verilog.emit import emit
from deepdive.hardware.rtl.dsp_column import DspColumn, DspKind
from deepdive.hardware.rtl.mac_column import MacColumn, MacShape
from deepdive.hardware.rtl.memories import memory_module
from deepdive.simulation.bench import part
from deepdive.simulation.verilated import build_simulator

SHAPES = (
    # The most terms that the lower field holds, all alike.
    MacShape(inputs=4, x_bits=8, x_signed=False, w_bits=8, acc_bits=20, accumulate=False, field=18),
    MacShape(inputs=64, x_bits=8, x_signed=False, w_bits=4, acc_bits=20, accumulate=False, field=18),
    MacShape(inputs=2, x_bits=8, x_signed=True, w_bits=8, acc_bits=18, accumulate=False, field=16),
    # Two codes and a weight; 25 taps are more than a field holds.
    MacShape(inputs=4, x_bits=8, x_signed=False, w_bits=8, acc_bits=20, accumulate=False, field=18, pixels=True),
    MacShape(inputs=25, x_bits=8, x_signed=True, w_bits=8, acc_bits=22, accumulate=False, field=18, pixels=True),
    MacShape(inputs=64, x_bits=8, x_signed=False, w_bits=4, acc_bits=20, accumulate=False, field=18, pixels=True),
    MacShape(inputs=2, x_bits=8, x_signed=True, w_bits=8, acc_bits=18, accumulate=False, field=16, pixels=True),
)
CASCADES: tuple[tuple[DspKind, MacShape], ...] = (
    ("dsp48e2", replace(SHAPES[0], cascade=True)),
    ("dsp48e2", replace(SHAPES[1], inputs=10, cascade=True)),
    ("dsp48e1", replace(SHAPES[2], cascade=True)),
)
"""A chain alone; chains of four, three and three, whose second and third wait; the bits of a DSP48E1."""
CHECK = """
module check%(index)d(input clk, input [31:0] count, output reg wrong);
    wire [7:0] x = count[7:0];
    wire signed [%(w)d:0] w0 = count[8 +: %(w)d + 1], w1 = count[9 + %(w)d +: %(w)d + 1];
    wire signed [8:0] code = %(signed)d ? {x[7], x} : {1'b0, x};
    wire [2 * %(acc)d - 1:0] acc;
    %(name)s column(.clk(clk), .rst(1'b0), .enable(1'b1), .x({%(inputs)d{x}}),
        .w({{%(inputs)d{w1}}, {%(inputs)d{w0}}}), .acc(acc));
    reg signed [%(acc)d - 1:0] low [0:%(latency)d], high [0:%(latency)d];
    integer i;
    initial wrong = 0;
    always @(posedge clk) begin
        low[0] <= %(inputs)d * code * w0;
        high[0] <= %(inputs)d * code * w1;
        for (i = 1; i < %(latency)d; i = i + 1) begin low[i] <= low[i - 1]; high[i] <= high[i - 1]; end
        if (count > %(latency)d && acc != {high[%(latency)d - 1], low[%(latency)d - 1]}) wrong <= 1;
    end
endmodule
"""
CHECK_PIXELS = """
module check%(index)d(input clk, input [31:0] count, output reg wrong);
    wire signed [%(w)d:0] w = count[0 +: %(w)d + 1];
    wire [7:0] x0 = count[8 +: 8], x1 = count[16 +: 8];
    wire signed [8:0] first = %(signed)d ? {x0[7], x0} : {1'b0, x0}, second = %(signed)d ? {x1[7], x1} : {1'b0, x1};
    wire [2 * %(acc)d - 1:0] acc;
    %(name)s column(.clk(clk), .rst(1'b0), .enable(1'b1), .x({{%(inputs)d{x1}}, {%(inputs)d{x0}}}),
        .w({%(inputs)d{w}}), .acc(acc));
    reg signed [%(acc)d - 1:0] low [0:%(latency)d], high [0:%(latency)d];
    integer i;
    initial wrong = 0;
    always @(posedge clk) begin
        low[0] <= %(inputs)d * first * w;
        high[0] <= %(inputs)d * second * w;
        for (i = 1; i < %(latency)d; i = i + 1) begin low[i] <= low[i - 1]; high[i] <= high[i - 1]; end
        if (count > %(latency)d && acc != {high[%(latency)d - 1], low[%(latency)d - 1]}) wrong <= 1;
    end
endmodule
"""
MAIN = """
#include "Vbench.h"
#include <cstdio>
int main() {
    Vbench bench;
    for (unsigned cycle = 0; cycle < %(cases)d + 64; ++cycle) {
        bench.count = cycle;
        bench.clk = 0;
        bench.eval();
        bench.clk = 1;
        bench.eval();
    }
    std::printf("%%u %%u\\n", bench.count, bench.wrong);
}
"""


def test_every_pair_of_weights_and_every_code(tmp_path: Path) -> None:
    """And every pair of codes and every weight."""
    exhaust_alike(tmp_path, {shape: emit({shape.name: MacColumn(shape)})[shape.name] for shape in SHAPES})


def test_every_pair_of_weights_and_every_code_in_cascades(tmp_path: Path) -> None:
    columns = {}
    for kind, shape in CASCADES:
        verilog = emit({shape.name: DspColumn(shape, kind)})[shape.name]
        columns[shape] = verilog.replace("deepdive_dsp #(", f"{kind}_product #(")
    parts = [part("dsp48.v")]
    parts += [
        memory_module(f"deepdive_{kind}.v").replace("module deepdive_dsp", f"module {kind}_product")
        for kind in dict(CASCADES)
    ]
    exhaust_alike(tmp_path, columns, "".join(parts))


def exhaust_alike(folder: Path, columns: Mapping[MacShape, str], modules: str = "") -> None:
    """Every case of columns given with their Verilog; those with as many cases as each other are simulated together."""
    for bits in {case_bits(shape) for shape in columns}:
        alike = {shape: verilog for shape, verilog in columns.items() if case_bits(shape) == bits}
        (folder / f"{bits}").mkdir()
        exhaust(folder / f"{bits}", alike, 1 << bits, modules)


def case_bits(shape: MacShape) -> int:
    """Of two weights and a code, or of two codes and a weight."""
    return 2 * shape.x_bits + shape.w_bits if shape.pixels else shape.x_bits + 2 * shape.w_bits


def exhaust(folder: Path, columns: Mapping[MacShape, str], cases: int, modules: str) -> None:
    """Simulate so many cases on each column."""
    parts, checks = [modules], []
    for index, (shape, verilog) in enumerate(columns.items()):
        numbers = {"index": index, "name": shape.name, "w": shape.w_bits - 1, "signed": shape.x_signed}
        numbers |= {"acc": shape.acc_bits, "inputs": shape.inputs, "latency": shape.latency}
        parts += [verilog, (CHECK_PIXELS if shape.pixels else CHECK) % numbers]
        checks.append(f"check{index} the{index}(.clk(clk), .count(count), .wrong(wrong[{index}]));")
    ports = f"input clk, input [31:0] count, output [{len(columns) - 1}:0] wrong"
    bench = "\n".join([*parts, f"module bench({ports});", *checks, "endmodule\n"])
    (folder / "bench.v").write_text(bench)
    (folder / "main.cpp").write_text(MAIN % {"cases": cases})
    program = build_simulator(folder, [folder / "bench.v"], folder / "main.cpp", optimize="-O2")
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(cases + 63), "0"]
