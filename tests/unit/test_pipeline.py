"""The discrete-event simulation of the pipeline against one that goes clock cycle by clock cycle."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from deepdive.compiler.compile import compile
from deepdive.compiler.design import Design
from deepdive.compiler.pipeline import BEHIND, simulate_pipeline
from deepdive.errors import CheckFailed
from deepdive.hardware.stages import PIPELINE_CYCLES, Dense, Window
from deepdive.hardware.units import Unit
from deepdive.qnet import FeatureMap, QNet
from networks import (
    OPERATOR_NETWORKS,
    NetworkBuilder,
    Numbers,
    four_block_network,
    operator_networks,
    separable_networks,
)
from networks import Window as Kernel
from stage_simulation import frame_ends


def folded(net: QNet, fps: float) -> Design:
    return compile(net, board="zcu102", objective="min-resources", target_fps=fps)


def ends(design: Design, frames: int, pipeline: int) -> tuple[int, ...]:
    """Cycle by cycle."""
    stages = [stage for unit in design.units for stage in unit.stages]
    return tuple(frame_ends(stages, frames, pipeline=pipeline, behind=BEHIND))


@pytest.mark.parametrize("fps", [900_000, 200_000, 30_000])
@pytest.mark.parametrize("pipeline", [1, 16])
def test_every_frame_ends_in_the_very_cycle(fps: float, pipeline: int) -> None:
    design = folded(four_block_network(), fps)
    found = simulate_pipeline(design.units, frames=4, pipeline=pipeline)
    assert found.frame_ends == ends(design, 4, pipeline)
    assert found.interval_cycles == design.frame_interval_cycles


def test_interval_of_a_pipeline_that_holds_many_frames() -> None:
    """Each squeeze-excite holds a frame: with few behind them the last ones would drain faster than they came in."""
    builder = NetworkBuilder(FeatureMap("image", (16, 16, 3), 8, False, 1 / 127.5, 128))
    relu = Numbers(weight_bits=4)
    x = builder.conv("stem", builder.source, 16, Kernel.same(3, 2), relu)
    for index in range(5):
        factors = builder.conv(f"reduce{index}", builder.global_avg_pool(f"mean{index}", x, relu), 4, Kernel(), relu)
        x = builder.channel_scale(f"scale{index}", x, builder.conv(f"excite{index}", factors, 16, Kernel(), relu), relu)
    builder.linear("classifier", builder.global_avg_pool("pool", x, relu), 10, relu)
    design = folded(builder.build("deep"), 50_000)
    found = simulate_pipeline(design.units)
    assert found.interval_cycles == design.frame_interval_cycles
    assert found.frame_ends[-1] - found.frame_ends[-2] < found.interval_cycles


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(net=separable_networks(), slower=st.sampled_from([1, 3, 10]), pipeline=st.sampled_from([2, 16]))
def test_drawn_networks(net: QNet, slower: int, pipeline: int) -> None:
    pixels = net.input.shape[0] * net.input.shape[1]
    try:
        design = folded(net, 250e6 / (pixels * slower))
    except CheckFailed:
        assume(False)
    assume(design.frame_interval_cycles < 3000)
    assert simulate_pipeline(design.units, frames=3, pipeline=pipeline).frame_ends == ends(design, 3, pipeline)


@pytest.mark.parametrize("kind", sorted(set(OPERATOR_NETWORKS) - {"Concat"}))  # two writers of one map: no stage
def test_networks_of_every_operator(kind: str) -> None:
    @settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(net=operator_networks(kind))
    def check(net: QNet) -> None:
        design = compile(net, board="zcu102")
        assume(design.frame_interval_cycles < 3000)
        assert simulate_pipeline(design.units, frames=3).frame_ends == ends(design, 3, PIPELINE_CYCLES)

    check()


def test_cycles_of_every_stage_are_accounted_for() -> None:
    design = folded(four_block_network(), 30_000)
    found = simulate_pipeline(design.units)
    for stage in found.stages:
        assert stage.working + stage.starved + stage.blocked == found.interval_cycles
        assert stage.first_cycle < stage.last_cycle
    assert any(stage.starved for stage in found.stages)
    assert any(stage.blocked for stage in found.stages)
    depths = {stream.name: stream.depth for unit in design.units for stream in unit.streams}
    assert found.peak
    for name, most in found.peak.items():
        assert 1 <= most <= depths[name]


def shallow(design: Design, stage_type: type) -> tuple[Unit, ...]:
    """The units with FIFOs two beats deep in front of all stages of a type."""
    names = {s.inputs[0].name for unit in design.units for s in unit.stages if isinstance(s, stage_type)}
    units = []
    for unit in design.units:
        data = unit.model_dump()
        for stage in data["stages"]:
            for value in stage.values():
                if isinstance(value, dict) and value.get("name") in names:
                    value["depth"] = 2
        units.append(Unit.model_validate(data))
    return tuple(units)


def test_shallow_fifos_cost_cycles() -> None:
    design = folded(four_block_network(), 200_000)
    units = shallow(design, Dense)
    found = simulate_pipeline(units)
    assert found.interval_cycles > design.frame_interval_cycles
    stages = [stage for unit in units for stage in unit.stages]
    assert found.frame_ends == tuple(frame_ends(stages, 4, pipeline=16, behind=BEHIND))
    assert simulate_pipeline(shallow(design, Window)).interval_cycles >= design.frame_interval_cycles


def test_a_skip_too_short_is_a_deadlock() -> None:
    design = folded(four_block_network(), 900_000)
    data = design.model_dump()
    for unit in data["units"]:
        for stage in unit["stages"]:
            for value in stage.values():
                if isinstance(value, dict) and str(value.get("name")).endswith("_skip"):
                    value["depth"] = 4
    with pytest.raises(
        CheckFailed, match="The pipeline stands still: a FIFO is too shallow, and stages wait for each other"
    ):
        simulate_pipeline(tuple(Unit.model_validate(unit) for unit in data["units"]))
