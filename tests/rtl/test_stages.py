"""Every stage's RTL gives the reference's codes, keeps its streams' rules and takes the cycles of its contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deepdive.backends.verilog.emit import emit
from deepdive.hardware.rtl.dense import DenseComponent
from deepdive.hardware.rtl.dsp_column import mac_column
from deepdive.hardware.rtl.memories import MEMORY_MODULES, memory_module
from deepdive.hardware.rtl.memory_ports import external_memories
from deepdive.hardware.rtl.weight_reader import memory_image
from deepdive.hardware.rtl.window import PATIENCE
from deepdive.hardware.stages import Window
from deepdive.qnet import FeatureMap
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
from rtl.stage_bench import run_beside, stage_memories
from rtl.stage_cases import (
    FRAMES,
    ConvSpec,
    StageCase,
    add_case,
    avg_pool_case,
    channel_scale_case,
    concat_case,
    dense_case,
    depthwise_case,
    depthwise_pairs_case,
    flatten_case,
    max_pool_case,
    pad_case,
    plain_case,
    pool_case,
    table_case,
    window_case,
)

SAME3 = (1, 1, 1, 1)


def cases() -> list[StageCase]:
    return [
        # name, seed, size, channels
        window_case(ConvSpec("window_3x3", 1, (5, 6), (4, 4), (3, 3), padding=SAME3), lanes=2),
        window_case(ConvSpec("window_stride2_tf", 2, (6, 6), (6, 6), (3, 3), (2, 2), (0, 0, 1, 1)), lanes=2),
        window_case(ConvSpec("window_stride2_odd", 3, (5, 7), (3, 3), (3, 3), (2, 2), SAME3, zero_points=3), lanes=1),
        window_case(ConvSpec("window_5x5", 4, (6, 5), (2, 2), (5, 5), (1, 1), (2, 2, 2, 2), zero_points=2), lanes=2),
        window_case(ConvSpec("window_7x7", 5, (7, 7), (2, 2), (7, 7), (2, 2), (3, 3, 3, 3)), lanes=1),
        window_case(ConvSpec("window_smallest", 6, (1, 1), (1, 1), (3, 3), padding=SAME3), lanes=1),
        window_case(ConvSpec("window_one_row", 7, (1, 4), (2, 2), (3, 3), padding=SAME3), lanes=1),
        window_case(ConvSpec("window_one_column", 8, (4, 1), (1, 1), (5, 5), padding=(2, 2, 2, 2)), lanes=1),
        window_case(ConvSpec("window_valid", 9, (5, 5), (2, 2), (3, 3)), lanes=2),
        window_case(ConvSpec("window_wide_padding", 10, (4, 3), (2, 2), (3, 3), padding=(2, 2, 2, 2)), lanes=1),
        window_case(ConvSpec("columns_same", 69, (6, 8), (3, 3), (3, 3), (2, 2), SAME3, zero_points=3), 3, 2),
        window_case(ConvSpec("columns_tf", 70, (5, 6), (3, 3), (3, 3), (2, 2), (0, 0, 1, 1)), 3, 2),
        window_case(ConvSpec("columns_5x5", 71, (6, 6), (2, 2), (5, 5), (2, 2), (2, 2, 2, 2), zero_points=2), 2, 2),
        window_case(ConvSpec("columns_7x7", 72, (7, 8), (1, 1), (7, 7), (2, 2), (3, 3, 3, 3)), 1, 2),
        window_case(ConvSpec("columns_2x2", 73, (4, 4), (2, 2), (2, 2), (2, 2)), 2, 2),
        window_case(ConvSpec("columns_of_one_row", 74, (4, 6), (2, 2), (1, 3), (1, 2), (0, 1, 0, 0)), 2, 2),
        window_case(ConvSpec("window_1x1_stride2", 11, (5, 5), (2, 2), (1, 1), (2, 2)), lanes=1),
        window_case(ConvSpec("window_1x3_stride3", 12, (4, 7), (2, 2), (1, 3), (1, 3), (0, 1, 0, 1)), lanes=1),
        window_case(
            ConvSpec("window_signed4", 13, (4, 4), (2, 2), (3, 3), padding=SAME3, bits=(4, 4, 4), signed=(True, True)),
            lanes=2,
        ),
        window_case(ConvSpec("window_pair", 14, (4, 6), (4, 4), (3, 4), (1, 2), SAME3), lanes=2),
        window_case(ConvSpec("window_pair_strided", 15, (5, 7), (2, 2), (5, 7), (2, 4), (2, 2, 2, 2)), lanes=2),
        dense_case(ConvSpec("dense_serial", 21, (2, 3), (6, 4)), 1, 1, 1),
        dense_case(ConvSpec("dense_folded", 22, (2, 3), (12, 8)), 3, 4, 1),
        dense_case(ConvSpec("dense_shared", 23, (2, 3), (8, 12), bits=(8, 4, 6)), 2, 6, 2, field=18),
        dense_case(ConvSpec("dense_parallel", 24, (3, 2), (5, 3), uniform=True), 5, 3, 3),
        dense_case(ConvSpec("dense_one_group", 25, (2, 2), (4, 6), signed=(True, True)), 4, 2, 2),
        dense_case(ConvSpec("dense_kernel", 26, (5, 5), (3, 8), (3, 3), (2, 2), (0, 0, 1, 1), zero_points=3), 3, 4, 4),
        dense_case(
            ConvSpec("dense_kernel_serial", 27, (3, 3), (4, 4), (3, 3), padding=SAME3, rounding="floor"), 1, 2, 1
        ),
        dense_case(ConvSpec("dense_grouped", 28, (2, 2), (6, 4), groups=2), 3, 4, 2),
        dense_case(ConvSpec("dense_imported", 29, (2, 2), (6, 4), weight_zero_point=True), 2, 2, 1),
        dense_case(ConvSpec("dense_linear", 30, (1, 1), (16, 10), bits=(8, 2, 8)), 4, 5, 5, field=18),
        dense_case(ConvSpec("dense_external", 35, (2, 2), (6, 4), bits=(8, 5, 8)), 2, 2, 1, "external"),
        # 144 words of memory: three bursts, the last one shorter
        dense_case(ConvSpec("dense_external_bursts", 66, (1, 2), (48, 48)), 4, 4, 4, "external"),
        dense_case(ConvSpec("dense_packed", 36, (3, 2), (6, 8), bits=(8, 4, 8)), 2, 4, 2, field=18),
        dense_case(ConvSpec("dense_packed_odd", 37, (2, 2), (8, 3), bits=(8, 3, 8)), 8, 3, 3, field=18),
        dense_case(ConvSpec("dense_packed_long", 38, (1, 2), (72, 2), bits=(8, 4, 8)), 72, 2, 2, field=18),
        dense_case(ConvSpec("dense_packed_full", 40, (1, 2), (64, 2), bits=(8, 4, 8)), 64, 2, 2, field=18),
        dense_case(
            ConvSpec("dense_packed_signed", 39, (2, 2), (6, 6), bits=(8, 4, 8), signed=(True, False)), 3, 2, 1, field=18
        ),
        # 8-bit weights: four terms a field, at most; nine are three chunks, five are two of unlike length
        dense_case(ConvSpec("dense_packed8", 49, (3, 2), (6, 8)), 2, 4, 2, field=18),
        dense_case(ConvSpec("dense_packed8_long", 50, (1, 2), (9, 3)), 9, 3, 3, field=18),
        dense_case(ConvSpec("dense_packed8_kernel", 56, (3, 3), (1, 4), (3, 3), (1, 1), SAME3), 1, 4, 4, field=18),
        dense_case(ConvSpec("dense_packed8_signed", 57, (2, 2), (5, 4), signed=(True, True)), 5, 2, 2, field=18),
        dense_case(ConvSpec("dense_packed6", 58, (2, 2), (34, 4), bits=(8, 6, 8)), 34, 2, 2, field=18),
        dense_case(ConvSpec("dense_packed9", 59, (2, 2), (6, 4), weight_zero_point=True), 3, 2, 1, field=17),
        dense_case(ConvSpec("dense_packed8_25_bits", 60, (2, 2), (6, 4)), 3, 4, 2, field=16),
        dense_case(ConvSpec("dense_packed7_25_bits", 65, (2, 2), (6, 4), bits=(8, 7, 8)), 6, 4, 4, field=17),
        dense_case(ConvSpec("dense_fabric", 67, (3, 2), (6, 8), bits=(8, 4, 8)), 2, 4, 2, fabric=True),
        dense_case(ConvSpec("dense_fabric8", 68, (2, 2), (5, 3), signed=(True, True)), 5, 3, 3, fabric=True),
        dense_case(ConvSpec("dense_cascade", 105, (3, 2), (6, 8)), 3, 4, 2, cascade=True),
        dense_case(ConvSpec("dense_cascade_one", 106, (2, 2), (4, 4)), 1, 2, 1, cascade=True),
        dense_case(
            ConvSpec("dense_cascade_signed", 107, (2, 2), (10, 6), bits=(8, 4, 8), signed=(True, False)),
            5,
            2,
            2,
            field=18,
            cascade=True,
        ),
        dense_case(ConvSpec("dense_cascade_odd", 108, (2, 2), (13, 3)), 13, 3, 3, field=18, cascade=True),
        dense_case(
            ConvSpec("dense_cascade_long", 109, (1, 2), (72, 2), bits=(8, 4, 8)), 72, 2, 2, field=18, cascade=True
        ),
        dense_case(
            ConvSpec("dense_cascade_external", 110, (2, 2), (6, 4), bits=(8, 4, 8)),
            2,
            2,
            1,
            "external",
            field=18,
            cascade=True,
        ),
        dense_case(ConvSpec("dense_drains", 46, (2, 3), (6, 8)), 3, 4, 2, drains=True),
        dense_case(ConvSpec("dense_drains_one_turn", 47, (1, 2), (4, 3)), 4, 3, 3, drains=True),
        dense_case(
            ConvSpec("dense_drains_external", 48, (2, 2), (6, 4), bits=(8, 4, 8)),
            2,
            2,
            1,
            "external",
            drains=True,
            field=18,
        ),
        depthwise_case(ConvSpec("depthwise_3x3", 31, (4, 5), (6, 6), (3, 3), padding=SAME3, groups=6), 2),
        depthwise_case(ConvSpec("depthwise_5x5", 32, (5, 5), (4, 4), (5, 5), (2, 2), (2, 2, 2, 2), 4, (8, 4, 8)), 4),
        depthwise_case(
            ConvSpec("depthwise_7x7", 33, (3, 3), (2, 2), (7, 7), padding=(3, 3, 3, 3), groups=2, rounding="floor"), 1
        ),
        depthwise_case(
            ConvSpec("depthwise_cascade", 111, (4, 5), (6, 6), (3, 3), padding=SAME3, groups=6), 2, cascade=True
        ),
        depthwise_case(
            ConvSpec("depthwise_cascade_5x5", 112, (5, 5), (4, 4), (5, 5), (2, 2), (2, 2, 2, 2), 4, (8, 4, 8)),
            4,
            cascade=True,
        ),
        depthwise_case(
            ConvSpec("depthwise_fabric", 35, (4, 4), (4, 4), (3, 3), (1, 1), SAME3, 4, (8, 4, 8)), 2, fabric=True
        ),
        depthwise_case(
            ConvSpec("depthwise_fabric8", 36, (3, 4), (3, 3), (3, 3), groups=3, signed=(True, True)), 3, fabric=True
        ),
        depthwise_case(
            ConvSpec("depthwise_imported", 34, (3, 3), (3, 3), (3, 3), groups=3, weight_zero_point=True, uniform=True),
            3,
        ),
        # name, seed, size, channels, kernel, stride, padding, groups, bits; beats a pixel from one to twelve
        depthwise_pairs_case(ConvSpec("pairs_3x3", 37, (4, 6), (6, 6), (3, 3), (1, 1), SAME3, 6), 2),
        depthwise_pairs_case(ConvSpec("pairs_5x5", 38, (5, 7), (8, 8), (5, 5), (2, 2), (2, 2, 2, 2), 8, (8, 4, 8)), 4),
        depthwise_pairs_case(
            ConvSpec("pairs_signed", 39, (3, 4), (4, 4), (3, 3), (1, 1), SAME3, 4, signed=(True, True)), 4
        ),
        depthwise_pairs_case(
            ConvSpec("pairs_25_bits", 40, (6, 8), (12, 12), (3, 3), (2, 2), (0, 0, 1, 1), 12), 2, field=16
        ),
        depthwise_pairs_case(
            ConvSpec("pairs_many_groups", 41, (2, 4), (24, 24), (3, 3), (1, 1), SAME3, 24, (6, 5, 7), (True, False)), 2
        ),
        depthwise_pairs_case(
            ConvSpec("pairs_floor", 42, (3, 2), (2, 2), (5, 5), (1, 1), (2, 2, 2, 2), 2, (4, 4, 4), rounding="floor"), 2
        ),
        depthwise_pairs_case(
            ConvSpec("pairs_imported", 43, (3, 6), (6, 6), (3, 3), groups=6, weight_zero_point=True, uniform=True), 6
        ),
        add_case("add", 41, (3, 4, 6), 2),
        add_case("add_floor", 42, (1, 1, 3), 3, "floor"),
        pool_case("pool", 51, FeatureMap("x", (3, 5, 6), 8, zero_point=77), 2),
        pool_case("pool_one_group", 52, FeatureMap("x", (2, 2, 3), 4, True, zero_point=-1), 3),
        pool_case("pool_one_pixel", 53, FeatureMap("x", (1, 1, 4), 8), 1, "floor"),
        pool_case("pool_ties", 54, FeatureMap("x", (1, 2, 40), 8), 2, "half_even"),
        pool_case("pool_ties_of_four", 55, FeatureMap("x", (2, 2, 40), 8, True, zero_point=-7), 4, "half_even"),
        table_case("table_unsigned", 71, FeatureMap("x", (2, 3, 4), 8), 2, FeatureMap("y", (2, 3, 4), 6, True)),
        table_case("table_signed", 72, FeatureMap("x", (1, 3, 3), 4, True), 3, FeatureMap("y", (1, 3, 3), 8)),
        channel_scale_case("channel_scale", 73, (3, 4, 6), 2),
        channel_scale_case("channel_scale_one_group", 74, (2, 2, 3), 3),
        channel_scale_case("channel_scale_one_pixel", 75, (1, 1, 4), 1),
        max_pool_case(ConvSpec("max_pool", 81, (5, 4), (4, 4), (3, 3), (2, 2), SAME3), 2),
        max_pool_case(
            ConvSpec("max_pool_signed", 82, (4, 4), (3, 3), (2, 2), (2, 2), bits=(5, 8, 8), signed=(True, True)), 3
        ),
        avg_pool_case(ConvSpec("avg_pool", 91, (5, 4), (4, 4), (3, 3), (2, 2), SAME3), 2, counted=False),
        avg_pool_case(ConvSpec("avg_pool_counted", 92, (5, 4), (4, 4), (3, 3), (2, 2), SAME3), 2, counted=True),
        avg_pool_case(
            ConvSpec("avg_pool_lopsided", 93, (7, 6), (6, 6), (5, 3), (2, 1), (1, 2, 3, 0), zero_points=6),
            3,
            counted=True,
        ),
        avg_pool_case(
            ConvSpec("avg_pool_ties", 94, (6, 6), (8, 8), (2, 2), (1, 1), (0, 0, 1, 1), rounding="half_even"),
            2,
            counted=False,
        ),
        avg_pool_case(
            ConvSpec("avg_pool_counted_ties", 95, (6, 7), (4, 4), (2, 3), padding=(1, 1, 0, 1), rounding="half_even"),
            4,
            counted=True,
        ),
        avg_pool_case(
            ConvSpec(
                "avg_pool_signed",
                96,
                (4, 5),
                (2, 2),
                (2, 2),
                (2, 2),
                (1, 0, 1, 1),
                1,
                (4, 8, 8),
                (True, True),
                2,
                rounding="floor",
            ),
            1,
            counted=True,
        ),
        avg_pool_case(ConvSpec("avg_pool_smallest", 97, (1, 1), (1, 1)), 1, counted=True),
        pad_case("pad", 101, FeatureMap("x", (3, 2, 4), 8, zero_point=77), (1, 2, 1, 1), 2),
        pad_case("pad_one_side", 102, FeatureMap("x", (2, 3, 3), 4, True, zero_point=-3), (0, 0, 0, 2), 3),
        pad_case("pad_one_pixel", 103, FeatureMap("x", (1, 1, 2), 6, zero_point=9), (3, 0, 2, 0), 1),
        pad_case("pad_nothing", 104, FeatureMap("x", (2, 2, 2), 8), (0, 0, 0, 0), 2),
        concat_case("concat", 85, (3, 2, 4), 6, 2),
        concat_case("concat_one_group", 86, (2, 2, 3), 3, 3),
        flatten_case("flatten_map", 83, FeatureMap("x", (2, 3, 4), 6, True), 2),
        plain_case("repack_split", 61, (2, 3, 12), (6, 2)),
        plain_case("repack_join", 62, (2, 3, 12), (2, 6)),
        plain_case("repack_to_one", 63, (1, 1, 5), (5, 1)),
        plain_case("fork_in_two", 64, (2, 3, 4), (2, 2)),
    ]


CASES = {case.name: case for case in cases()}


def dut(case: StageCase) -> Dut:
    stage = case.stage
    inputs = tuple(Port.of(f"input{i}", s) for i, s in enumerate(stage.inputs))
    return Dut(
        case.name,
        inputs,
        tuple(Port.of(f"output{i}", s) for i, s in enumerate(stage.outputs)),
        stage_memories(stage),
    )


def build(folder: Path) -> Path:
    """Build one simulator of all cases side by side."""
    modules = {case.name: case.component for case in CASES.values()}
    for case in CASES.values():
        modules |= {shape.name: mac_column(shape, "dsp48e2") for shape in case.component.columns}
        for image in case.component.roms:
            (folder / f"{image.name}.mem").write_text(image.text())
    verilog = "\n".join(emit(modules).values())
    parts = "".join(memory_module(name) for name in (*MEMORY_MODULES, "deepdive_dsp48e2.v"))
    (folder / "stages.v").write_text(verilog + parts + bench_verilog([dut(case) for case in CASES.values()]))
    for case in CASES.values():
        for memory in external_memories(case.stage):
            assert isinstance(case.component, DenseComponent)
            data = memory_image(case.component.image.bits)
            write_memory(folder / f"{tap_name(case.name, memory.name)}.memory.mem", data, memory.word_bytes)
        for i, (stream, codes) in enumerate(zip(case.stage.inputs, case.inputs, strict=True)):
            write_codes(folder / f"{tap_name(case.name, f'input{i}')}.stimulus", stream, codes)
    (folder / "main.cpp").write_text(part("main.cpp"))
    return build_simulator(folder, [folder / "stages.v", *write_parts(folder)], folder / "main.cpp", optimize="-O0")


@pytest.fixture(scope="module")
def program(module_folder: Path) -> Path:
    return build(module_folder)


RUNS = {
    "free": Run(FRAMES),
    "slow_source": Run(FRAMES, seed=2, pause_sources=200),
    "slow_sink": Run(FRAMES, seed=3, pause_sinks=200),
    "both": Run(FRAMES, seed=4, pause_sources=120, pause_sinks=120),
    "bursts": Run(FRAMES, seed=5, pause_sources=30, pause_sinks=10),
}


@pytest.fixture(scope="module", params=RUNS)
def run(program: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> tuple[str, Path]:
    """The folder with what the monitors saw in one run."""
    folder = tmp_path_factory.mktemp(request.param)
    run_beside(program, RUNS[request.param], folder)
    return request.param, folder


@pytest.mark.parametrize("name", CASES)
def test_stage(run: tuple[str, Path], name: str) -> None:
    case, (kind, folder) = CASES[name], run
    for i, (stream, wanted) in enumerate(zip(case.stage.outputs, case.outputs, strict=True)):
        port = tap_name(name, f"output{i}")
        got = read_codes(folder / f"{port}.beats", stream)
        assert np.array_equal(got, wanted), f"{len(got)} of {len(wanted)} beats, {first_difference(got, wanted)}"
        seen = traffic(folder, port)
        assert seen.broken == 0
        if kind == "free":
            late = np.diff(seen.frames[:, 1]) - case.stage.interval_cycles
            # When no frame follows any more a window waits for it in vain, once.
            waits = {0, PATIENCE} if isinstance(case.stage, Window) else {0}
            assert set(late.tolist()) <= waits, late
            assert np.count_nonzero(late) <= 1, late
    for memory in external_memories(case.stage):
        moved = memory_traffic(folder, tap_name(name, memory.name))
        assert moved.broken == 0
        assert moved.read > 0


def first_difference(got: np.ndarray, wanted: np.ndarray) -> str:
    shorter = min(len(got), len(wanted))
    unequal = np.argwhere(got[:shorter] != wanted[:shorter])
    return f"first difference at {unequal[0] if len(unequal) else None}"
