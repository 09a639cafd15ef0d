"""The model of every kind of stage, and of FIFOs, against open synthesis of its RTL."""

from __future__ import annotations

from pathlib import Path

import pytest
from stage_cases import (
    ConvSpec,
    StageCase,
    add_case,
    avg_pool_case,
    channel_scale_case,
    concat_case,
    dense_case,
    depthwise_case,
    depthwise_pairs_case,
    max_pool_case,
    pad_case,
    plain_case,
    pool_case,
    table_case,
    window_case,
)

from deepdive.backends.verilog import DSP_FILE
from deepdive.backends.verilog.emit import emit
from deepdive.hardware.memory import Memory
from deepdive.hardware.resources import Resources
from deepdive.hardware.rtl.dsp_column import mac_column
from deepdive.hardware.rtl.fifo import StreamFifo
from deepdive.hardware.rtl.memories import MEMORY_MODULES, memory_module
from deepdive.hardware.stream import Stream
from deepdive.qnet import FeatureMap
from deepdive.simulation.bench import part
from deepdive.simulation.logic_depth import logic_depth
from deepdive.simulation.netlist import Module, primitives, resources
from deepdive.simulation.yosys_flow import map_to_primitives

SAME3 = (1, 1, 1, 1)
SHARE = 0.15
TOP = "all_of_them"
DEEPEST = 6
"""LUTs between two registers of any stage: at 250 MHz there is room for about as many."""

CASES = [
    window_case(ConvSpec("window", 1, (14, 14), (64, 64), (3, 3), (1, 1), SAME3, groups=64), 4),
    window_case(ConvSpec("window_5x5", 2, (28, 28), (48, 48), (5, 5), (2, 2), (2, 2, 2, 2), groups=48), 4),
    dense_case(ConvSpec("packed", 3, (2, 2), (64, 64), bits=(8, 4, 8)), 8, 8, 1, field=18),
    dense_case(ConvSpec("packed_odd", 4, (2, 2), (36, 21), bits=(8, 4, 8)), 12, 3, 1, field=18),
    dense_case(ConvSpec("packed_k3", 5, (4, 4), (4, 8), (3, 3), (1, 1), SAME3, bits=(8, 4, 8)), 1, 4, 2, field=18),
    dense_case(ConvSpec("packed8", 27, (2, 2), (64, 32)), 8, 4, 1, field=18),
    dense_case(ConvSpec("packed8_k3", 29, (4, 4), (4, 8), (3, 3), (1, 1), SAME3), 1, 4, 2, field=18),
    dense_case(ConvSpec("packed8_25_bits", 30, (2, 2), (64, 32)), 8, 4, 1, field=16),
    dense_case(ConvSpec("packed6", 31, (2, 2), (64, 32), bits=(8, 6, 8)), 8, 2, 1, field=18),
    dense_case(ConvSpec("dense_fabric", 40, (2, 2), (64, 32), bits=(8, 4, 8)), 16, 2, 1, fabric=True),
    dense_case(
        ConvSpec("dense_fabric_signed", 41, (2, 2), (60, 32), bits=(8, 4, 8), signed=(True, True)),
        10,
        2,
        1,
        fabric=True,
    ),
    depthwise_case(
        ConvSpec("fabric_signed", 42, (4, 4), (16, 16), (3, 3), padding=SAME3, groups=16, signed=(True, False)),
        1,
        fabric=True,
    ),
    dense_case(ConvSpec("cascade", 32, (2, 2), (64, 64), bits=(8, 4, 8)), 16, 4, 1, field=18, cascade=True),
    dense_case(ConvSpec("cascade_odd", 33, (2, 2), (36, 21), bits=(8, 4, 8)), 12, 3, 1, field=18, cascade=True),
    dense_case(ConvSpec("cascade_wide", 34, (2, 2), (128, 32), bits=(8, 4, 8)), 64, 2, 1, field=18, cascade=True),
    dense_case(ConvSpec("cascade8", 35, (2, 2), (48, 32)), 24, 2, 1, field=18, cascade=True),
    dense_case(ConvSpec("cascade8_25_bits", 36, (2, 2), (64, 32)), 16, 2, 1, field=16, cascade=True),
    dense_case(ConvSpec("cascade_plain", 37, (2, 2), (64, 32)), 16, 2, 1, cascade=True),
    dense_case(ConvSpec("plain", 6, (2, 2), (64, 32)), 16, 2, 1),
    dense_case(ConvSpec("plain_rom", 7, (2, 2), (256, 64)), 8, 4, 1),
    dense_case(ConvSpec("external", 27, (2, 2), (64, 32), bits=(8, 4, 8)), 4, 4, 1, "external"),
    dense_case(ConvSpec("one_step", 8, (4, 4), (3, 8), (3, 3), (1, 1), SAME3), 3, 2, 2),
    depthwise_case(ConvSpec("depthwise", 9, (4, 4), (32, 32), (3, 3), padding=SAME3, groups=32), 4),
    depthwise_case(
        ConvSpec("depthwise_cascade", 38, (4, 4), (32, 32), (3, 3), padding=SAME3, groups=32), 4, cascade=True
    ),
    depthwise_case(
        ConvSpec("depthwise_cascade_5x5", 39, (4, 4), (16, 16), (5, 5), padding=(2, 2, 2, 2), groups=16),
        2,
        cascade=True,
    ),
    depthwise_case(
        ConvSpec("fabric", 10, (4, 4), (64, 64), (3, 3), padding=SAME3, groups=64, bits=(8, 4, 8)), 2, fabric=True
    ),
    depthwise_case(
        ConvSpec("fabric_5x5", 11, (4, 4), (16, 16), (5, 5), padding=(2, 2, 2, 2), groups=16, bits=(8, 4, 8)),
        1,
        fabric=True,
    ),
    depthwise_pairs_case(ConvSpec("pairs", 32, (4, 4), (32, 32), (3, 3), padding=SAME3, groups=32), 2),
    depthwise_pairs_case(
        ConvSpec("pairs_5x5", 33, (4, 4), (96, 96), (5, 5), (2, 2), (2, 2, 2, 2), groups=96, bits=(8, 4, 8)), 2
    ),
    depthwise_pairs_case(
        ConvSpec("pairs_signed", 34, (4, 4), (240, 240), (3, 3), padding=SAME3, groups=240, signed=(True, True)), 2
    ),
    add_case("add", 12, (4, 4, 16), 4),
    pool_case("pool", 13, FeatureMap("x", (7, 7, 64), 8, zero_point=3), 4),
    pool_case("pool_small", 23, FeatureMap("x", (2, 2, 512), 8), 1),
    channel_scale_case("scale", 14, (4, 4, 64), 8),
    table_case("table", 15, FeatureMap("x", (2, 2, 8), 8), 4, FeatureMap("y", (2, 2, 8), 8)),
    max_pool_case(ConvSpec("max_pool", 16, (6, 6), (16, 16), (3, 3), (2, 2), SAME3), 8),
    avg_pool_case(ConvSpec("avg_pool", 21, (6, 6), (16, 16), (3, 3), (2, 2), SAME3), 4, counted=False),
    avg_pool_case(ConvSpec("avg_pool_counted", 22, (28, 28), (16, 16), (3, 3), (1, 1), SAME3), 4, counted=True),
    avg_pool_case(ConvSpec("avg_pool_7x7", 24, (14, 14), (16, 16), (7, 7), (7, 7)), 1, counted=False),
    pad_case("pad", 25, FeatureMap("x", (14, 14, 64), 8, zero_point=77), (1, 2, 1, 1), 8),
    pad_case("pad_narrow", 26, FeatureMap("x", (56, 56, 16), 8, zero_point=77), (0, 0, 1, 1), 1),
    concat_case("concat", 17, (4, 4, 64), 32, 32),
    plain_case("split", 18, (2, 3, 64), (32, 4)),
    plain_case("join", 19, (2, 3, 64), (4, 64)),
    plain_case("fork", 20, (2, 3, 64), (32, 32)),
]
STAGES = {case.name: case for case in CASES}
FIFOS = {
    f"fifo_{depth}x{lanes * 8}": Stream(name="f", height=1, width=1, channels=lanes, lanes=lanes, bits=8, depth=depth)
    for depth, lanes in ((2, 8), (2, 36), (20, 8), (50, 8), (300, 8), (3000, 4))
} | {"fifo_ultra": Stream(name="f", height=1, width=1, channels=18, lanes=18, bits=8, depth=4000, ultra=True)}
ROMS = {
    f"rom_{depth}x{width}": Memory(name="rom", depth=depth, width=width, read_only=True, storage="block")
    for depth, width in (
        *((16_000, 72), (40_000, 72), (64_000, 80)),
        *((3200, 48), (5000, 48), (6144, 200)),
    )
}
"""Block RAMs below each other, what chooses between them, and what is left of the width beside full columns."""
MODEL: dict[str, Resources] = (
    {name: case.stage.resources() for name, case in STAGES.items()}
    | {name: stream.resources for name, stream in FIFOS.items()}
    | {name: memory.resources for name, memory in ROMS.items()}
)


def synthesise(folder: Path) -> dict[str, Module]:
    """One run of Yosys over a module that holds one of each."""
    modules = {case.name: case.component for case in STAGES.values()}
    for case in STAGES.values():
        modules |= {shape.name: mac_column(shape, "dsp48e2") for shape in case.component.columns}
        for image in case.component.roms:
            (folder / f"{image.name}.mem").write_text(image.text())
    modules |= {name: StreamFifo(stream.beat_bits, stream.depth, ultra=stream.ultra) for name, stream in FIFOS.items()}
    for name, verilog in emit(modules).items():
        (folder / f"{name}.v").write_text(verilog)
    for name in MEMORY_MODULES:
        (folder / name).write_text(memory_module(name))
    (folder / DSP_FILE).write_text(memory_module("deepdive_dsp48e2.v"))
    (folder / "counted_rom.v").write_text(part("synthesis_rom.v").replace("deepdive_rom", "counted_rom"))
    for name, memory in ROMS.items():
        (folder / f"{name}.v").write_text(rom_verilog(name, memory))
    instances = "\n".join(f"(* keep *) {name} the_{name}();" for name in MODEL)
    (folder / "top.v").write_text(f"module {TOP};\n{instances}\nendmodule\n")
    sources = ["counted_rom", *modules, *ROMS, "top"]
    return map_to_primitives(folder, [*MEMORY_MODULES, DSP_FILE, *(f"{name}.v" for name in sources)], TOP)


def rom_verilog(name: str, memory: Memory) -> str:
    """A module that holds nothing but a ROM in block RAM, as units have it when they are synthesised."""
    bits = (memory.depth - 1).bit_length()
    return (
        f"module {name}(input clk, input enable, input [{bits - 1}:0] address, output [{memory.width - 1}:0] data);\n"
        f"counted_rom #(.WIDTH({memory.width}), .DEPTH({memory.depth}), .ADDRESS_BITS({bits}))"
        " rom(.clk(clk), .enable(enable), .address(address), .data(data));\nendmodule\n"
    )


@pytest.fixture(scope="module")
def netlist(module_folder: Path) -> dict[str, Module]:
    return synthesise(module_folder)


@pytest.mark.parametrize("name", MODEL)
def test_the_model_is_within_15_percent_of_synthesis(netlist: dict[str, Module], name: str) -> None:
    found, model = resources(primitives(name, netlist)), MODEL[name]
    assert (model.dsp, model.bram36, model.uram) == (found.dsp, found.bram36, found.uram)
    assert model.lut == pytest.approx(found.lut, rel=SHARE, abs=4)


@pytest.mark.parametrize("name", STAGES)
def test_logic_is_shallow(netlist: dict[str, Module], name: str) -> None:
    path = logic_depth(name, netlist)
    assert 1 <= path.luts <= DEEPEST, path


def test_constants_lie_where_the_contract_has_them() -> None:
    """These are a bit wider than in the contract, and would lie in block RAM for that alone."""
    spec = ConvSpec("wide_scales", 1, (2, 2), (150, 150), (3, 3), padding=SAME3, groups=150, bits=(8, 3, 8))
    component = depthwise_case(spec, 1).component
    held, (image,) = component.memory("scales"), (rom for rom in component.roms if rom.name.endswith("scales"))
    assert held.model_copy(update={"width": image.width}).style == "block"
    assert image.style == held.style == "distributed"


def test_cases_are_of_every_kind() -> None:
    def kind(case: StageCase) -> str:
        return case.stage.kind

    assert len({kind(case) for case in CASES}) >= 14
