"""Memory that answers with errors: the accelerator goes on, and its status words say which master got which of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from deepdive.backends.verilog import FILE_LIST, write_project
from deepdive.compiler.shared import Sharing
from deepdive.hardware.boards import load_board
from deepdive.hardware.rtl.accelerator import register_map
from deepdive.hardware.stages import SharedBody
from deepdive.hardware.stream import Stream
from deepdive.simulation.bench import (
    Dut,
    Port,
    Run,
    bench_verilog,
    part,
    read_codes,
    run_bench,
    tap_name,
    write_codes,
    write_memory,
    write_parts,
)
from deepdive.simulation.rtl import accelerator, beats
from deepdive.simulation.verilated import build_simulator
from networks import Block, Separable, random_codes
from rtl.test_shared_body import SMALL
from shared_designs import shared_design

FRAMES = 2
ADDRESS = Stream(name="address", height=1, width=1, channels=6, lanes=2, bits=6)
"""Of three registers; they are read over and over again."""
WORD = Stream(name="word", height=1, width=1, channels=12, lanes=4, bits=8)


def test_errors_of_memory_show_in_the_status(tmp_path: Path) -> None:
    net = Separable(8, 8, (4, 4), (Block(4),), features=4, classes=2).build(0)
    design = shared_design(net, load_board("zcu102"), [(1, Sharing(SMALL))])
    (stage,) = (stage for unit in design.units for stage in unit.stages if isinstance(stage, SharedBody))
    write_project(design, net, tmp_path)
    words = register_map(design.units).words
    names = [f"{stage.name}_{master}_errors" for master in ("weights", "blocks", "ends")]

    plain = accelerator(design)
    # The last word of the weights fails, and so does the map that blocks write and the ends' master reads.
    faulty = {"weights": stage.weight_words(stage.blocks[0]) - 1, "maps": stage.map_places[-2]}
    memories = tuple(replace(memory, faulty=faulty[memory.name.split("_")[-1]]) for memory in plain.memories)
    asks = Port("asks", ADDRESS, "s_axi_araddr", "s_axi_arvalid", "s_axi_arready", repeat=True)
    answers = Port("answers", WORD, "s_axi_rdata", "s_axi_rvalid", "s_axi_rready")
    dut = Dut(plain.name, (*plain.inputs, asks), (*plain.outputs, answers), memories)
    (tmp_path / "bench.v").write_text(bench_verilog([dut]))
    (tmp_path / "main.cpp").write_text(part("main.cpp"))
    sources = [tmp_path / name for name in (tmp_path / FILE_LIST).read_text().split()]
    sources += [tmp_path / "bench.v", *write_parts(tmp_path)]
    program = build_simulator(tmp_path, sources, tmp_path / "main.cpp", optimize="-O0")

    write_codes(
        tmp_path / f"{tap_name(dut.name, 's_axis')}.stimulus",
        dut.inputs[0].stream,
        beats(random_codes(net, FRAMES), design.units[0].input),
    )
    addresses = np.array([[words[name] & 63, words[name] >> 6] for name in names])
    write_codes(tmp_path / f"{tap_name(dut.name, 'asks')}.stimulus", ADDRESS, addresses)
    data = (tmp_path / f"{stage.name}_weights.bin").read_bytes()
    write_memory(tmp_path / f"{tap_name(dut.name, f'{stage.name}_weights')}.memory.mem", data, 16)
    _, complete = run_bench(program, Run(FRAMES), tmp_path, timeout=120)  # polling never ends by itself
    assert complete
    seen = read_codes(tmp_path / f"{tap_name(dut.name, 'answers')}.beats", WORD)
    assert (seen[:, 1:] == 0).all()
    polls = seen[: len(seen) // 3 * 3, 0].reshape(-1, 3)
    assert polls[0].tolist() == [0, 0, 0]
    assert polls[-1].tolist() == [0b0001, 0b0100, 0b0001]
    assert (polls[1:] >= polls[:-1]).all()  # once set, they stay
