"""Open synthesis counts what the stages promise: a DSP for two 4-bit products, block RAM for deep weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepdive.backends.verilog import write_project
from deepdive.compiler.compile import compile as compile_network
from deepdive.errors import DeepDiveError
from deepdive.hardware.memory import total
from deepdive.hardware.resources import Resources
from deepdive.hardware.stages import Dense
from deepdive.qnet import FeatureMap
from deepdive.simulation.synthesis import cells_of, count, synthesise
from network_builder import NetworkBuilder, Numbers


@pytest.mark.parametrize(("weight_bits", "classes", "target_fps"), [(4, 8, 6_000_000), (8, 96, 20_000)])
def test_a_classifier(tmp_path: Path, weight_bits: int, classes: int, target_fps: float) -> None:
    builder = NetworkBuilder(FeatureMap("image", (1, 1, 128)), 1)
    builder.linear("logits", builder.source, classes, Numbers(weight_bits=weight_bits))
    net = builder.build()
    design = compile_network(net, board="zcu102", objective="min-resources", target_fps=target_fps)
    write_project(design, net, tmp_path)
    (unit,) = design.units
    found = synthesise(tmp_path, design, jobs=1)[unit.name]
    dense = next(stage for stage in unit.stages if isinstance(stage, Dense))
    per_dsp = 2 if weight_bits == 4 and dense.out_parallel > 1 else 1
    multipliers = dense.input.lanes * -(-dense.out_parallel // per_dsp)
    assert found.dsp == multipliers + dense.output.lanes
    assert found.bram36 == total(dense.memories).bram36
    assert found.lut > 0
    assert found.ff > 0


def test_cells_are_counted_through_the_hierarchy() -> None:
    modules = {
        "\\top": {"FDRE": 1, "half": 2, "$paramod\\rom": 1},
        "\\half": {"DSP48E2": 3, "$paramod\\rom": 2},
        "$paramod\\rom": {"RAMB18E2": 1, "$lut": 5, "RAM32M16": 1},
    }
    cells = cells_of("\\top", modules)
    assert cells == {"FDRE": 1, "DSP48E2": 6, "RAMB18E2": 5, "$lut": 25, "RAM32M16": 5}
    assert count(cells) == Resources(dsp=6, lut=25 + 8 * 5, ff=1, bram36=2.5)


def test_an_unknown_unit_is_refused(tmp_path: Path) -> None:
    builder = NetworkBuilder(FeatureMap("image", (1, 1, 4)), 1)
    builder.linear("logits", builder.source, 2, Numbers())
    design = compile_network(builder.build(), board="zcu102")
    with pytest.raises(DeepDiveError, match="holds no Verilog project"):
        synthesise(tmp_path, design)
    (tmp_path / "files.f").write_text("")
    with pytest.raises(DeepDiveError, match="The design has no unit 'body'; it has classifier"):
        synthesise(tmp_path, design, units=("body",))
