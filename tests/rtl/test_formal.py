"""Proofs, for any input and any pauses: an offered beat stays until it is taken, and a FIFO keeps order and count."""

from __future__ import annotations

from pathlib import Path

import pytest
from amaranth.hdl import Elaboratable, Module, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from deepdive.backends.verilog.emit import emit
from deepdive.backends.verilog.yosys import yosys
from deepdive.errors import DeepDiveError
from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.fifo import StreamFifo
from deepdive.hardware.rtl.memories import memory_module
from deepdive.qnet import FeatureMap
from rtl.stage_cases import (
    ConvSpec,
    add_case,
    avg_pool_case,
    concat_case,
    max_pool_case,
    pad_case,
    plain_case,
    window_case,
)

PREPARE = """read_verilog -sv -formal deepdive_ram.v dut.v check.v
hierarchy -check -top check
proc
flatten
opt_clean
memory_map
async2sync
dffunmap
opt_clean
"""
INDUCTION = "sat -tempinduct -prove-asserts -verify -seq 1 -maxsteps 3\n"
STEPS = 10


def prove(folder: Path, dut: Elaboratable, check: str, command: str) -> None:
    """Let Yosys prove the assertions of module `check`; raises DeepDiveError with a counterexample."""
    (folder / "dut.v").write_text(emit({"dut": dut})["dut"])
    (folder / "deepdive_ram.v").write_text(memory_module("deepdive_ram.v"))
    (folder / "check.v").write_text(check)
    yosys(PREPARE + command, folder, timeout=300)


def stable_output(inputs: dict[str, int], output: str, width: int) -> str:
    """Verilog that asserts the rule of a stream at one output; all inputs are free."""
    names = [f"{name}__{end}" for name in inputs for end in ("payload", "valid")]
    free = [f"input [{bits - 1}:0] {name}__payload, input {name}__valid," for name, bits in inputs.items()]
    return f"""module check(input clk, input rst, {" ".join(free)} input other, input ready);
    wire valid;
    wire [{width - 1}:0] payload;
    dut dut(.clk(clk), .rst(rst), {" ".join(f".{name}({name})," for name in names)}
        {".output0__ready(other), .output1__ready(ready)" if output == "output1" else f".{output}__ready(ready)"},
        .{output}__valid(valid), .{output}__payload(payload));
    reg waiting = 0;
    reg [{width - 1}:0] offered;
    always @(posedge clk) begin
        waiting <= valid && !ready && !rst;
        offered <= payload;
    end
    always @* if (waiting) assert (valid && payload == offered);
endmodule
"""


STAGES = {
    "window": window_case(ConvSpec("w", 1, (3, 3), (2, 2), (3, 3), padding=(1, 1, 1, 1), bits=(2, 2, 2)), 1),
    "add": add_case("a", 1, (1, 2, 2), 1),
    "split": plain_case("s", 1, (1, 2, 4), (4, 2)),
    "join": plain_case("j", 1, (1, 2, 4), (2, 4)),
    "concat": concat_case("c", 1, (1, 2, 2), 4, 2),
    "fork": plain_case("f", 1, (1, 2, 2), (1, 1)),
    "pad": pad_case("p", 1, FeatureMap("x", (2, 2, 2), 2), (1, 1, 1, 1), 1),
    "max_pool": max_pool_case(ConvSpec("m", 1, (2, 2), (2, 2), (2, 2), bits=(2, 2, 2)), 1),
    "avg_pool": avg_pool_case(ConvSpec("v", 1, (2, 2), (2, 2), (2, 2), bits=(2, 2, 2)), 1, counted=True),
}


@pytest.mark.parametrize("kind", STAGES)
def test_an_offered_beat_stays(tmp_path: Path, kind: str) -> None:
    component: StageComponent = STAGES[kind].component
    stage = component.contract
    inputs = {f"input{i}": stream.beat_bits for i, stream in enumerate(stage.inputs)}
    output = len(stage.outputs) - 1
    check = stable_output(inputs, f"output{output}", stage.outputs[output].beat_bits)
    prove(tmp_path, component, check, INDUCTION)


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_a_fifo_offers_beats_until_they_are_taken(tmp_path: Path, depth: int) -> None:
    prove(tmp_path, StreamFifo(3, depth), stable_output({"input": 3}, "output", 3), INDUCTION)


def queue_model(depth: int, room: int) -> str:
    """Verilog of a FIFO's specification: a shift queue; it must never hold more than `room` beats."""
    return f"""module check(input clk, input [2:0] payload, input valid, input ready);
    reg rst = 1;
    wire in_ready, out_valid;
    wire [2:0] out_payload;
    dut dut(.clk(clk), .rst(rst), .input__payload(payload), .input__valid(valid), .input__ready(in_ready),
        .output__payload(out_payload), .output__valid(out_valid), .output__ready(ready));
    reg [{3 * (depth + 1) - 1}:0] queue = 0;
    reg [4:0] held = 0;
    wire put = valid && in_ready && !rst;
    wire take = out_valid && ready && !rst;
    wire [{3 * (depth + 1) - 1}:0] after = take ? queue >> 3 : queue;
    always @(posedge clk) begin
        rst <= 0;
        held <= held + put - take;
        queue <= put ? after | (payload << (3 * (held - take))) : after;
    end
    always @* if (!rst) begin
        if (out_valid) assert (held != 0 && out_payload == queue[2:0]);
        assert (held <= {room});
        if (held < {depth - 1}) assert (in_ready);
    end
endmodule
"""


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_a_fifo_keeps_order_and_count(tmp_path: Path, depth: int) -> None:
    """Every sequence of puts and takes of ten cycles after reset."""
    bounded = f"sat -prove-asserts -verify -seq 1 -maxsteps {STEPS} -tempinduct-baseonly -tempinduct\n"
    prove(tmp_path, StreamFifo(3, depth), queue_model(depth, depth), bounded)


def test_the_proof_finds_a_fifo_that_holds_more_than_it_should(tmp_path: Path) -> None:
    bounded = f"sat -prove-asserts -verify -seq 1 -maxsteps {STEPS} -tempinduct-baseonly -tempinduct\n"
    with pytest.raises(DeepDiveError, match="proof did fail"):
        prove(tmp_path, StreamFifo(3, 5), queue_model(5, 4), bounded)


class Hasty(wiring.Component):
    """Breaks the rule: the next beat replaces one that was not taken."""

    def __init__(self) -> None:
        beat = stream.Signature(unsigned(3))
        super().__init__({"input": In(beat), "output": Out(beat)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.input.ready.eq(1)
        m.d.sync += [self.output.payload.eq(self.input.payload), self.output.valid.eq(self.input.valid)]
        return m


def test_the_proof_finds_a_beat_that_is_lost(tmp_path: Path) -> None:
    with pytest.raises(DeepDiveError, match="proof did fail"):
        prove(tmp_path, Hasty(), stable_output({"input": 3}, "output", 3), INDUCTION)
