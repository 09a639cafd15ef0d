"""Open synthesis counts what the stages promise: a DSP for two products, block RAM for deep weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepdive.backends.verilog import write_project
from deepdive.compiler.compile import compile as compile_network
from deepdive.errors import DeepDiveError
from deepdive.hardware.resources import Resources
from deepdive.hardware.stages import Dense
from deepdive.qnet import FeatureMap
from deepdive.simulation import synthesis
from deepdive.simulation.logic_depth import LogicPath, logic_depth
from deepdive.simulation.netlist import Cell, Module, Port, primitives, resources
from deepdive.simulation.synthesis import synthesise
from network_builder import NetworkBuilder, Numbers


@pytest.mark.parametrize(("weight_bits", "classes", "target_fps"), [(4, 8, 6_000_000), (8, 96, 20_000)])
def test_a_classifier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weight_bits: int, classes: int, target_fps: float
) -> None:
    builder = NetworkBuilder(FeatureMap("image", (1, 1, 128)), 1)
    builder.linear("logits", builder.source, classes, Numbers(weight_bits=weight_bits))
    net = builder.build()
    design = compile_network(net, board="zcu102", objective="min-resources", target_fps=target_fps)
    write_project(design, net, tmp_path)
    (unit,) = design.units
    report = synthesise(tmp_path, design, jobs=1)[unit.name]
    found, model = report.resources, unit.resources
    dense = next(stage for stage in unit.stages if isinstance(stage, Dense))
    per_dsp = 2 if dense.packed else 1
    multipliers = 0 if dense.fabric else dense.input.lanes * -(-dense.out_parallel // per_dsp)
    assert found.dsp == multipliers + dense.output.lanes
    assert (model.dsp, model.bram36) == (found.dsp, found.bram36)
    assert model.lut == pytest.approx(found.lut, rel=0.15)
    parts = report.parts
    assert parts.keys() == {*(stage.name for stage in unit.stages), *(stream.name for stream in unit.streams)}
    assert sum(parts.values(), Resources()) == found
    assert 1 <= report.logic_depth <= 6
    assert " to " in report.longest_path

    def again(*_: object) -> None:
        raise AssertionError("what was counted is kept")

    monkeypatch.setattr(synthesis, "map_to_primitives", again)
    assert synthesise(tmp_path, design, jobs=1)[unit.name] == report


def register(net: int, data: int) -> Cell:
    return Cell("FDRE", {"D": (data,), "C": (1,), "CE": ("1",)}, {"Q": (net,)}, {})


def lut(net: int, *inputs: int) -> Cell:
    return Cell(f"LUT{len(inputs)}", {f"I{i}": (bit,) for i, bit in enumerate(inputs)}, {"O": (net,)}, {})


HALF = Module(
    {"clk": Port(True, (1,)), "a": Port(True, (2,)), "y": Port(False, (5,)), "z": Port(False, (6,))},
    {"q": register(3, 2), "first": lut(4, 3), "second": lut(5, 4), "direct": lut(6, 2)},
    {3: "kept"},
)
WHOLE = Module(
    {"clk": Port(True, (1,))},
    {
        "half": Cell("half", {"clk": (1,), "a": (2,)}, {"y": (3,), "z": (4,)}, {}),
        "more": lut(5, 3, 4),
        "carry": Cell("CARRY8", {"S": (5,)}, {"O": (6,)}, {}),
        "end": register(7, 6),
        "begin": register(2, 7),
        "dsp": Cell("DSP48E2", {"A": (2,)}, {"P": (8,)}, {"PREG": "0"}),
        "product": register(9, 8),
        "ram": Cell("RAM32M16", {"ADDRA": (9,), "DIA": (9,)}, {"DOA": (10,)}, {}),
        "bram": Cell("RAMB18E2", {"ADDRARDADDR": (10,)}, {"DOUTADOUT": (11,)}, {}),
    },
    {2: "begin", 7: "end", 9: "product"},
)


def test_cells_are_counted_through_the_hierarchy() -> None:
    cells = primitives("whole", {"whole": WHOLE, "half": HALF})
    assert cells["FDRE"] == 4
    assert resources(cells) == Resources(dsp=1, lut=3 + 1 + 8, ff=4, bram36=0.5)


def test_paths_go_through_the_hierarchy() -> None:
    modules = {"whole": WHOLE, "half": HALF}
    # A register inside of the half, its two LUTs, one outside; the carry chain costs nothing.
    assert logic_depth("whole", modules) == LogicPath(3, "half.kept", "end")
    assert logic_depth("half", modules).luts == 0
    shallow = dict(HALF.cells) | {"second": lut(5, 2)}
    path = logic_depth("whole", modules | {"half": Module(HALF.ports, shallow, HALF.names)})
    assert path == LogicPath(2, "begin", "end")


def test_an_unknown_unit_is_refused(tmp_path: Path) -> None:
    builder = NetworkBuilder(FeatureMap("image", (1, 1, 4)), 1)
    builder.linear("logits", builder.source, 2, Numbers())
    design = compile_network(builder.build(), board="zcu102")
    with pytest.raises(DeepDiveError, match="holds no Verilog project"):
        synthesise(tmp_path, design)
    (tmp_path / "files.f").write_text("")
    with pytest.raises(DeepDiveError, match="The design has no unit 'body'; it has classifier"):
        synthesise(tmp_path, design, units=("body",))
