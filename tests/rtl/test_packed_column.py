"""Two weights and a code in one multiplier of the RTL, or two codes and a weight: all of them with all others."""

from __future__ import annotations

import subprocess
from pathlib import Path

from deepdive.backends.verilog.emit import emit
from deepdive.hardware.rtl.mac_column import MacColumn, MacShape
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
CASES = 1 << 24
"""Two weights of 8 bits and a code, or two codes and a weight."""
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
MAIN = f"""
#include "Vbench.h"
#include <cstdio>
int main() {{
    Vbench bench;
    for (unsigned cycle = 0; cycle < {CASES} + 64; ++cycle) {{
        bench.count = cycle;
        bench.clk = 0;
        bench.eval();
        bench.clk = 1;
        bench.eval();
    }}
    std::printf("%u %u\\n", bench.count, bench.wrong);
}}
"""


def test_every_pair_of_weights_and_every_code(tmp_path: Path) -> None:
    """And every pair of codes and every weight; 4-bit weights come round several times."""
    parts, checks = [], []
    for index, shape in enumerate(SHAPES):
        numbers = {"index": index, "name": shape.name, "w": shape.w_bits - 1, "signed": shape.x_signed}
        numbers |= {"acc": shape.acc_bits, "inputs": shape.inputs, "latency": shape.latency}
        parts += [emit({shape.name: MacColumn(shape)})[shape.name], (CHECK_PIXELS if shape.pixels else CHECK) % numbers]
        checks.append(f"check{index} the{index}(.clk(clk), .count(count), .wrong(wrong[{index}]));")
    ports = f"input clk, input [31:0] count, output [{len(SHAPES) - 1}:0] wrong"
    bench = "\n".join([*parts, f"module bench({ports});", *checks, "endmodule\n"])
    (tmp_path / "bench.v").write_text(bench)
    (tmp_path / "main.cpp").write_text(MAIN)
    program = build_simulator(tmp_path, [tmp_path / "bench.v"], tmp_path / "main.cpp", optimize="-O2")
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(CASES + 63), "0"]
