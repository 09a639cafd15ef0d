"""Whole designs in RTL: every unit against the reference, cycles against the model, and what is said on a stop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from deepdive.backends.verilog import write_project
from deepdive.compiler import padding
from deepdive.compiler.compile import compile as compile_network
from deepdive.compiler.design import Design
from deepdive.errors import CheckFailed, DeepDiveError
from deepdive.hardware.rtl.patience import pauses
from deepdive.hardware.rtl.window import PATIENCE
from deepdive.hardware.stages import Depthwise
from deepdive.qnet import QNet
from deepdive.simulation.bench import Run
from deepdive.simulation.compare import compare
from deepdive.simulation.rtl import SIMULATOR, RtlSimulation, compile_simulator, simulate
from networks import (
    Block,
    Numbers,
    Separable,
    every_operator_network,
    four_block_network,
    random_codes,
    separable_networks,
)

FRAMES = 3


@pytest.fixture(scope="module")
def four_blocks(module_folder: Path) -> tuple[QNet, Design, Path]:
    net = four_block_network(3)
    design = compile_network(net, board="zcu102")
    write_project(design, net, module_folder)
    return net, design, compile_simulator(module_folder, design, jobs=1, optimize="-O0")


def check(net: QNet, found: RtlSimulation, images: np.ndarray) -> None:
    result = compare(found.maps, net.run(images, every=True))
    assert (result.differing, result.first_difference) == (0, None)


@pytest.mark.parametrize("how", [Run(FRAMES), Run(FRAMES, 1, 128, 0), Run(FRAMES, 2, 0, 250), Run(FRAMES, 3, 60, 60)])
def test_every_unit_equals_the_reference(four_blocks: tuple[QNet, Design, Path], how: Run) -> None:
    net, design, program = four_blocks
    images = random_codes(net, FRAMES, seed=how.seed)
    found = simulate(program, design, net, images, how)
    assert list(found.maps) == [unit.output_map for unit in design.units]
    check(net, found, images)
    if not how.pause_sources and not how.pause_sinks:
        # Behind the last frame none comes: windows wait for it in vain, once each.
        *apart, last = np.diff(found.frames[:, 1]) - design.frame_interval_cycles
        assert not any(apart)
        assert 0 <= last <= sum(PATIENCE + pause for pause in pauses(design.units).values())
        assert found.latency_cycles <= design.latency_cycles


def test_stalls_name_the_slow_end(four_blocks: tuple[QNet, Design, Path]) -> None:
    net, design, program = four_blocks
    images = random_codes(net, FRAMES)
    slow_source = simulate(program, design, net, images, Run(FRAMES, pause_sources=250)).stalls
    slow_sink = simulate(program, design, net, images, Run(FRAMES, pause_sinks=255)).stalls
    first, last = design.units[0].stages[1], design.units[-1].stages[-1]
    assert sum(slow_source[first.name].starved.values()) > sum(slow_sink[first.name].starved.values())
    assert sum(slow_sink[last.name].blocked.values()) > sum(slow_source[last.name].blocked.values())


def test_one_frame_leaves_without_a_second_one(four_blocks: tuple[QNet, Design, Path]) -> None:
    net, design, program = four_blocks
    images = random_codes(net, 1)
    check(net, simulate(program, design, net, images, Run(1)), images)


def test_windows_wait_for_pixels_that_come_at_the_pace_of_the_slowest_stage(tmp_path: Path) -> None:
    """The second block is faster than the first one and pauses after each pixel; steps ahead would hold both up.

    Of the last frame, behind which nothing comes, each window waits in vain.
    """
    blocks = (Block(48, 3, 5, 2), Block(48, 3, 5))
    net = Separable(16, 16, (4, 32), blocks, features=8, classes=4).build(1)
    design = compile_network(net, board="zcu102", objective="min-resources", target_fps=3000, sharing="never")
    slow, fast = (unit.interval_cycles for unit in design.units if unit.name.startswith("body"))
    assert slow == design.frame_interval_cycles
    assert slow > 1.1 * fast
    write_project(design, net, tmp_path)
    program = compile_simulator(tmp_path, design, jobs=1, optimize="-O0")
    images = random_codes(net, FRAMES)
    found = simulate(program, design, net, images, Run(FRAMES))
    check(net, found, images)
    *apart, last = np.diff(found.frames[:, 1]) - slow
    assert not any(apart)
    assert last <= sum(PATIENCE + pause for pause in pauses(design.units).values())


def test_a_stream_that_ends_early_is_reported(four_blocks: tuple[QNet, Design, Path]) -> None:
    net, design, program = four_blocks
    images = random_codes(net, 1)
    with pytest.raises(CheckFailed, match="stopped after 1 of 2 frames: every stage waits for input"):
        simulate(program, design, net, images, Run(2, patience=5000))


def with_depth(design: Design, name: str, depth: int) -> Design:
    """The design with one FIFO of another depth."""

    def changed(value: object) -> object:
        if isinstance(value, dict):
            if value.get("name") == name and "lanes" in value:
                return value | {"depth": depth}
            return {key: changed(inner) for key, inner in value.items()}
        return [changed(inner) for inner in value] if isinstance(value, (list, tuple)) else value

    return Design.model_validate(changed(design.model_dump()))


def test_a_fifo_too_short_deadlocks_and_is_named(tmp_path: Path) -> None:
    net = Separable(8, 8, (4, 4), (Block(4, expand=1),), features=4, classes=4, activations=Numbers(bits=4)).build(5)
    design = compile_network(net, board="zcu102", objective="min-resources", target_fps=10_000)
    skips = [s.name for unit in design.units for s in unit.streams if s.name.endswith("skip")]
    short = with_depth(design, skips[0], 2)
    write_project(short, net, tmp_path)
    program = compile_simulator(tmp_path, short, jobs=1, optimize="-O0")
    with pytest.raises(CheckFailed, match=rf"stage 'body1_fork' waits for room in {skips[0]}") as caught:
        simulate(program, short, net, random_codes(net, FRAMES), Run(FRAMES, patience=5000))
    assert "stage 'body1_add' waits for" in str(caught.value)


def squeeze_excite() -> QNet:
    """A block whose branch must empty itself: its dense stages drain."""
    return Separable(16, 16, (4, 4), (Block(4, squeeze=2),), features=4, classes=3).build(7)


@pytest.mark.parametrize(
    ("build", "kinds"),
    [(every_operator_network, {"avg_pool", "max_pool", "pad", "concat"}), (squeeze_excite, {"drains"})],
)
def test_rare_stages_in_a_whole_design(tmp_path: Path, build: Callable[[], QNet], kinds: set[str]) -> None:
    net = build()
    design = compile_network(net, board="zcu102", objective="min-resources", target_fps=20_000)
    stages = [stage for unit in design.units for stage in unit.stages]
    assert kinds <= {stage.kind for stage in stages} | {"drains" for stage in stages if getattr(stage, "drains", False)}
    write_project(design, net, tmp_path)
    program = compile_simulator(tmp_path, design, jobs=1, optimize="-O0")
    images = random_codes(net, FRAMES)
    for how in (Run(FRAMES), Run(FRAMES, 5, 90, 90)):
        found = simulate(program, design, net, images, how)
        check(net, found, images)
        if not how.pause_sources:
            assert found.frame_interval_cycles <= 1.01 * design.frame_interval_cycles


@pytest.mark.usefixtures("only_pairs")
def test_pairs_of_pixels(tmp_path: Path) -> None:
    """In every depthwise stage: filters of 3x3 and, with stride 2, of 5x5, a skip beside one."""
    plan = Separable(16, 32, blocks=(Block(8), Block(12, kernel=5, stride=2)))
    net = plan.build(4)
    design = compile_network(net, board="zcu102", sharing="never")
    stages = [stage for unit in design.units for stage in unit.stages if isinstance(stage, Depthwise)]
    assert [stage.pixel_pair.kernel for stage in stages if stage.pixel_pair] == [(3, 3), (3, 3), (5, 5)]
    write_project(design, net, tmp_path)
    program = compile_simulator(tmp_path, design, jobs=1, optimize="-O0")
    images = random_codes(net, FRAMES)
    for how in (Run(FRAMES), Run(FRAMES, 4, 90, 90), Run(1)):
        found = simulate(program, design, net, images[: how.frames], how)
        check(net, found, images[: how.frames])
        if how == Run(FRAMES):  # the last frame's windows wait for a next one
            assert (np.diff(found.frames[:-1, 1]) == design.frame_interval_cycles).all()
            assert found.latency_cycles <= design.latency_cycles


@settings(max_examples=3, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(net=separable_networks())
def test_drawn_networks(tmp_path_factory: pytest.TempPathFactory, net: QNet) -> None:
    design = compile_network(net, board="zcu102", objective="min-resources", target_fps=20_000)
    folder = tmp_path_factory.mktemp("drawn")
    write_project(design, net, folder)
    program = compile_simulator(folder, design, jobs=1, optimize="-O0")
    images = random_codes(net, FRAMES)
    for how in (Run(FRAMES), Run(FRAMES, 4, 90, 90)):
        check(net, simulate(program, design, net, images, how), images)


def test_prime_channels_padded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every map between head and classifier travels with more channels than it has."""
    monkeypatch.setattr(padding, "paddings", lambda channels: (channels % 3 + 1,))
    plan = Separable(12, 10, (5, 7), (Block(7, expand=1, squeeze=3, tables=True),), features=11, classes=3)
    net = plan.build(2)
    design = compile_network(net, board="zcu102", objective="min-resources", target_fps=20_000, sharing="never")
    assert all(stream.padding for unit in design.units[1:-1] for stream in (unit.input, unit.output))
    assert design.macs == net.macs()
    write_project(design, net, tmp_path)
    program = compile_simulator(tmp_path, design, jobs=1, optimize="-O0")
    images = random_codes(net, FRAMES)
    for how in (Run(FRAMES), Run(FRAMES, 4, 90, 90)):
        check(net, simulate(program, design, net, images, how), images)


def test_a_folder_without_verilog_is_refused(tmp_path: Path, four_blocks: tuple[QNet, Design, Path]) -> None:
    with pytest.raises(DeepDiveError, match="holds no Verilog project; compile the network with the RTL backend"):
        compile_simulator(tmp_path, four_blocks[1])


def test_project_is_written_twice_alike(tmp_path: Path, four_blocks: tuple[QNet, Design, Path]) -> None:
    net, design, program = four_blocks
    write_project(design, net, tmp_path)
    first = program.parent.parent
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    there = {path.relative_to(first) for path in first.rglob("*") if path.is_file()}
    assert written == {name for name in there if name.parts[0] != SIMULATOR}
    for name in written:
        assert (tmp_path / name).read_bytes() == (first / name).read_bytes(), name
