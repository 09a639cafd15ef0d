"""The one piece of Verilog of the C++ project: it marks the last beat of each frame for the DMA."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deepdive.backends.render import render
from deepdive.simulation.verilated import build_simulator

BENCH = """
module bench (
    input aclk, input aresetn, input [7:0] s_tdata, input s_tvalid, output s_tready,
    output [7:0] m_tdata, output m_tvalid, input m_tready, output m_tlast
);
    deepdive_last_beat #(.WIDTH(8), .BEATS(@)) dut (
        .aclk(aclk), .aresetn(aresetn), .s_axis_tdata(s_tdata), .s_axis_tvalid(s_tvalid), .s_axis_tready(s_tready),
        .m_axis_tdata(m_tdata), .m_axis_tvalid(m_tvalid), .m_axis_tready(m_tready), .m_axis_tlast(m_tlast)
    );
endmodule
"""
MAIN = """
#include <cstdio>
#include <random>
#include "Vbench.h"
int main() {
    VerilatedContext context;
    Vbench bench(&context);
    std::mt19937 random(1);
    int sent = 0, got = 0;
    bench.aresetn = 0;
    for (int cycle = 0; got < 40; ++cycle) {
        bench.aclk = 0;
        bench.aresetn = cycle > 2;
        bench.s_tvalid = cycle > 2 && random() % 3 != 0;
        bench.m_tready = cycle > 2 && random() % 3 != 0;
        bench.s_tdata = sent;
        bench.eval();
        const bool in = bench.s_tvalid && bench.s_tready, out = bench.m_tvalid && bench.m_tready;
        if (out) std::printf("%d %d\\n", bench.m_tdata, bench.m_tlast);
        sent += in;
        got += out;
        bench.aclk = 1;
        bench.eval();
    }
}
"""


@pytest.mark.slow
@pytest.mark.parametrize("beats", [1, 3])
def test_every_frames_last_beat_is_marked_whatever_waits(beats: int, tmp_path: Path) -> None:
    render("last_beat.v", tmp_path / "last_beat.v")
    (tmp_path / "bench.v").write_text(BENCH.replace("@", str(beats)))
    (tmp_path / "main.cpp").write_text(MAIN)
    program = build_simulator(
        tmp_path, [tmp_path / "last_beat.v", tmp_path / "bench.v"], tmp_path / "main.cpp", optimize="-O0"
    )
    said = subprocess.run([program], capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.splitlines() == [f"{at} {int(at % beats == beats - 1)}" for at in range(40)]
