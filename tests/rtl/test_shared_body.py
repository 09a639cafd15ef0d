"""Shared bodies in RTL: the reference's codes for blocks of all kinds, foldings, batches and paces."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest

from deepdive.backends.verilog.contents import memory_contents
from deepdive.backends.verilog.emit import emit
from deepdive.compiler.partition import partition
from deepdive.compiler.shared import Sharing, shared_unit
from deepdive.hardware.rtl.build import stage_component
from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.dsp_column import mac_column
from deepdive.hardware.rtl.memories import MEMORY_MODULES, memory_module
from deepdive.hardware.rtl.memory_ports import external_memories
from deepdive.hardware.rtl.shared_body import SharedBodyComponent
from deepdive.hardware.stages import PointwiseFolding, SharedBody, SharedFolding
from deepdive.hardware.units import Unit
from deepdive.qnet import QNet
from deepdive.simulation.bench import (
    Dut,
    Port,
    Run,
    bench_verilog,
    memory_traffic,
    part,
    read_codes,
    tap_name,
    traffic,
    write_codes,
    write_memory,
    write_parts,
)
from deepdive.simulation.verilated import build_simulator
from networks import Block, Numbers, Separable, random_codes
from rtl.stage_bench import run_beside, stage_memories

FRAMES = 5

SMALL = SharedFolding(
    expand=PointwiseFolding(in_lanes=2, out_parallel=8, lanes=4),
    middle_lanes=4,
    project=PointwiseFolding(in_lanes=4, out_parallel=4, lanes=4),
    memory_lanes=4,
)
WIDE = SharedFolding(
    expand=PointwiseFolding(in_lanes=1, out_parallel=4, lanes=4),
    middle_lanes=2,
    project=PointwiseFolding(in_lanes=8, out_parallel=2, lanes=1),
    memory_lanes=8,
    fabric=True,
)

NARROW = SharedFolding(
    expand=PointwiseFolding(in_lanes=1, out_parallel=2, lanes=2),
    middle_lanes=2,
    project=PointwiseFolding(in_lanes=2, out_parallel=2, lanes=2),
    memory_lanes=2,
)
WIDE_MIDDLE = SMALL.model_copy(update={"middle_lanes": 8})


@dataclass(frozen=True)
class Case:
    """A small network, all of whose bodies run on one unit."""

    name: str
    network: Separable
    sharing: Sharing
    seed: int = 0

    @cached_property
    def net(self) -> QNet:
        return self.network.build(self.seed)

    @cached_property
    def unit(self) -> Unit:
        plans = [plan for plan in partition(self.net) if plan.kind == "body"]
        return shared_unit(self.name, plans, self.sharing)

    @property
    def stage(self) -> SharedBody:
        (stage,) = self.unit.stages
        assert isinstance(stage, SharedBody)
        return stage

    @cached_property
    def component(self) -> StageComponent:
        return stage_component(self.stage, self.net)

    @cached_property
    def maps(self) -> dict[str, np.ndarray]:
        return self.net.run(random_codes(self.net, FRAMES, seed=self.seed), every=True)


def inside(folding: SharedFolding, batch: int = 1) -> Sharing:
    return Sharing(folding, maps="on_chip", weights="on_chip", batch=batch)


FOUR_BITS = Numbers(bits=4, weight_bits=4)
KERNELS = Separable(14, 9, (4, 5), (Block(7, 3, 5, 2), Block(7, 2), Block(9, 1, 5)))
MIXED = Separable(8, 6, (4, 6), (Block(6), Block(10, 3, 5, 2), Block(10, 1), Block(10, 3)))
TABLES = Separable(12, 10, (4, 6), (Block(6, tables=True), Block(10, 3, 5, 2), Block(10, 1, tables=True), Block(10, 3)))
SQUEEZED = Separable(
    12, 10, (4, 6), (Block(6, squeeze=3, tables=True), Block(8, 3, 5, 2, squeeze=4), Block(8, 1, squeeze=2), Block(8))
)
LOADING = Separable(8, 8, (4, 4), (Block(4, 1, 3, 2), Block(24, 1, 3, 2), Block(24, 8)))
NIBBLES = Separable(
    8, 12, (4, 6), (Block(6, 2), Block(10, 3), Block(10)), activations=Numbers(weight_bits=4, signed=True)
)


def cases() -> list[Case]:
    plain = Separable(height=12, width=10, stem=(4, 6), blocks=(Block(6, tables=True), Block(10, stride=2), Block(10)))
    return [
        Case("one", Separable(height=8, width=8, stem=(4, 4), blocks=(Block(4),)), inside(SMALL)),
        Case("three", plain, inside(SMALL, 2), 1),
        Case("kernels", KERNELS, inside(SMALL, 3), 2),
        Case("some_taps", KERNELS, inside(SMALL.model_copy(update={"taps": 9}), 2), 12),
        Case("cascades", KERNELS, inside(SMALL.model_copy(update={"cascade": True}), 2), 15),
        Case("cascades_of_some_taps", NIBBLES, Sharing(SMALL.model_copy(update={"taps": 5, "cascade": True})), 16),
        Case("lacking", Separable(9, 11, (4, 3), (Block(5, 1), Block(5, 6), Block(5, 1))), inside(SMALL, 1), 3),
        Case("wide", Separable(6, 10, (4, 6), (Block(6, 2), Block(12, 4, 3, 2), Block(12, 3))), inside(WIDE, 2), 4),
        Case(
            "nibbles",
            Separable(12, 12, (4, 8), (Block(8), Block(8), Block(16, 3, 3, 2)), activations=FOUR_BITS),
            inside(SMALL, 4),
            5,
        ),
        Case(
            "below_zero",
            Separable(8, 12, (4, 6), (Block(6), Block(8, 2)), activations=Numbers(bits=6, weight_bits=3, signed=True)),
            inside(SMALL, 2),
            6,
        ),
        Case("squeezed", SQUEEZED, inside(WIDE_MIDDLE, 2), 12),
        Case("squeezed_alone", Separable(8, 8, (4, 4), (Block(4, 1, squeeze=2),)), inside(SMALL), 13),
        Case("squeezed_outside", SQUEEZED, Sharing(SMALL, batch=2), 14),
        Case("all_outside", TABLES, Sharing(SMALL, batch=2), 8),
        Case("one_buffer", MIXED, Sharing(WIDE, maps="on_chip", weight_buffers=1), 9),
        Case("maps_outside", NIBBLES, Sharing(SMALL, weights="on_chip", batch=3), 10),
        Case("weights_outside", NIBBLES, Sharing(SMALL, maps="on_chip"), 11),
        Case("small_maps", Separable(8, 8, (4, 10), (Block(10, 2, 5),)), inside(NARROW, 2), 15),
        Case("narrow_port", LOADING, Sharing(SMALL, maps="on_chip", port_cycles=2), 16),
        Case("tiny", Separable(8, 8, (4, 4), (Block(4, 1, 3, 2), Block(4, 1, 3, 2), Block(4, 1))), inside(SMALL, 2), 7),
    ]  # fmt: skip


CASES = {case.name: case for case in cases()}


def dut(case: Case) -> Dut:
    stage = case.stage
    return Dut(case.name, (Port.of("input0", stage.input),), (Port.of("output0", stage.output),), stage_memories(stage))


def beats(codes: np.ndarray, lanes: int) -> np.ndarray:
    return codes.reshape(-1, lanes)


def build(folder: Path) -> Path:
    """One simulator of all cases side by side."""
    modules = {case.name: case.component for case in CASES.values()}
    shapes = {shape.name: shape for case in CASES.values() for shape in case.component.columns}
    modules |= {name: mac_column(shape, "dsp48e2") for name, shape in shapes.items()}
    for case in CASES.values():
        for image in case.component.roms:
            (folder / f"{image.name}.mem").write_text(image.text())
        for memory in external_memories(case.stage):
            if not memory.writes:
                path = folder / f"{tap_name(case.name, memory.name)}.memory.mem"
                write_memory(path, memory_contents(case.stage, case.net)[memory.name], memory.word_bytes)
        codes = case.maps[case.unit.input_map]
        write_codes(
            folder / f"{tap_name(case.name, 'input0')}.stimulus", case.stage.input, beats(codes, case.stage.input.lanes)
        )
    verilog = "\n".join(emit(modules).values())
    parts = "".join(memory_module(name) for name in (*MEMORY_MODULES, "deepdive_dsp48e2.v"))
    (folder / "stages.v").write_text(verilog + parts + bench_verilog([dut(case) for case in CASES.values()]))
    (folder / "main.cpp").write_text(part("main.cpp"))
    return build_simulator(folder, [folder / "stages.v", *write_parts(folder)], folder / "main.cpp", optimize="-O0")


@pytest.fixture(scope="module")
def program(module_folder: Path) -> Path:
    return build(module_folder)


RUNS = {
    "free": Run(FRAMES),
    "slow_source": Run(FRAMES, seed=2, pause_sources=200),
    "slow_sink": Run(FRAMES, seed=3, pause_sinks=240),
    "both": Run(FRAMES, seed=4, pause_sources=120, pause_sinks=120),
}


@pytest.fixture(scope="module", params=RUNS)
def run(program: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> tuple[str, Path]:
    """The folder with what the monitors saw in one run."""
    folder = tmp_path_factory.mktemp(request.param)
    run_beside(program, RUNS[request.param], folder)
    return request.param, folder


@pytest.mark.parametrize("name", CASES)
def test_codes(run: tuple[str, Path], name: str) -> None:
    case, (kind, folder) = CASES[name], run
    port = tap_name(name, "output0")
    stream = case.stage.output
    got, wanted = read_codes(folder / f"{port}.beats", stream), beats(case.maps[case.unit.output_map], stream.lanes)
    assert len(got) == len(wanted)
    unequal = np.argwhere(got != wanted)
    assert not len(unequal), f"{len(unequal)} codes differ, the first one at {unequal[0]}"
    seen = traffic(folder, port)
    assert seen.broken == 0
    if kind == "free":
        ends = seen.frames[:, 1]
        cycles = ends[case.stage.batch] - ends[0]
        assert cycles <= case.stage.phase_cycles
        if case.stage.port_cycles > 1:
            assert cycles > case.stage.model_copy(update={"port_cycles": 1}).phase_cycles
    for memory in external_memories(case.stage):
        moved = memory_traffic(folder, tap_name(name, memory.name))
        assert moved.broken == 0
        assert moved.read > 0
        assert (moved.written > 0) == memory.writes


@pytest.mark.parametrize("name", CASES)
def test_memories_are_those_of_the_contract(name: str) -> None:
    """Of constants: as deep and as wide as the model counts them for RTL."""
    component, case = CASES[name].component, CASES[name]
    assert isinstance(component, SharedBodyComponent)
    held = {memory.name: (memory.depth, memory.width) for memory in case.stage.rtl_memories}
    found = {name: (image.depth, image.width) for name, image in component.words.items()}
    if component.loader:
        buffers = case.stage.weight_buffers
        found = {store.name: (buffers * max(store.rows), store.width) for store in component.loader.stores}
    assert found
    assert found.items() <= held.items()
