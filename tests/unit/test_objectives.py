"""Limits of power and latency: kept, as fast as they allow, and refused with what is nearest; the Pareto front."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from deepdive.cli import main
from deepdive.compiler.budget import Budget, budget_of
from deepdive.compiler.compile import CLOCKS, compile
from deepdive.compiler.front import Front, beats, find_front
from deepdive.compiler.objectives import SCORES, latency_ms, taken
from deepdive.errors import CheckFailed, DeepDiveError
from deepdive.hardware.boards import load_board
from deepdive.qnet import QNet
from deepdive.qnet.onnx_file import save
from networks import four_block_network


@pytest.fixture(scope="module")
def net() -> QNet:
    return four_block_network()


def test_a_limit_of_power_is_kept_and_made_use_of(net: QNet) -> None:
    free, slow = compile(net, board="zcu102"), compile(net, board="zcu102", objective="min-resources", target_fps=1e5)
    limit = (free.power.total_w + slow.power.total_w) / 2
    cool = compile(net, board="zcu102", budget=budget_of(None, limit))
    assert cool.power.total_w <= limit
    assert cool.fps < free.fps
    # Nothing much faster keeps it: bisection ends within one per cent of an interval, foldings come in steps.
    faster = compile(net, board="zcu102", objective="min-resources", target_fps=1.2 * cool.fps)
    assert faster.power.total_w > limit


def test_a_limit_of_latency_is_kept(net: QNet) -> None:
    free = compile(net, board="zcu102", objective="min-resources", target_fps=100_000)
    limit = latency_ms(free) / 2
    soon = compile(
        net, board="zcu102", objective="min-resources", target_fps=100_000, budget=budget_of(None, None, limit)
    )
    assert latency_ms(soon) <= limit
    assert free.resources.dsp < soon.resources.dsp
    assert soon.fps < compile(net, board="zcu102").fps


def test_what_cannot_be_is_refused_with_what_is_nearest(net: QNet) -> None:
    with pytest.raises(CheckFailed, match=r"cannot stay within 1 W: the least found is \d\.\d\d W at [\d,]+ FPS") as no:
        compile(net, board="zcu102", budget=budget_of(None, 1.0))
    assert no.value.exit_code == 1
    with pytest.raises(CheckFailed, match=r"cannot answer within 0\.001 ms: the least latency found is 0\.\d+ ms"):
        compile(net, board="zcu102", budget=budget_of(None, None, 0.001))
    fast = compile(net, board="zcu102")
    slow = compile(net, board="zcu102", objective="min-resources", target_fps=fast.fps / 4)
    watts, milliseconds = slow.power.total_w + 0.05, latency_ms(fast) * 1.01
    with pytest.raises(CheckFailed, match=r"cannot keep .* W and .* ms at once: within the power the least latency"):
        compile(net, board="zcu102", budget=budget_of(None, watts, milliseconds))


def test_a_free_clock_serves_the_objective(net: QNet) -> None:
    board = load_board("zcu102")
    assert compile(net, board=board, clock_mhz="auto") == compile(net, board=board)
    limit = (compile(net, board=board).power.total_w + compile(net, board=board, target_fps=1e5).power.total_w) / 2
    for kwargs in (
        {"budget": budget_of(None, limit)},
        {"objective": "fps-per-watt"},
        {"objective": "min-resources", "target_fps": 200_000},
    ):
        fixed, free = (compile(net, board=board, clock_mhz=clock, **kwargs) for clock in (None, "auto"))  # type: ignore[arg-type]
        assert free.clock_mhz / board.clock_mhz in CLOCKS
        score = SCORES[kwargs.get("objective", "fps")]  # type: ignore[index]
        assert score(free) >= score(fixed)
        assert free.power.total_w <= limit or "budget" not in kwargs
    with pytest.raises(CheckFailed, match=r"at 250 MHz cannot reach 5000000\.0 FPS"):
        compile(net, board=board, clock_mhz="auto", target_fps=5e6)


def test_fewest_resources_at_any_speed(net: QNet) -> None:
    least = compile(net, board="zcu102", objective="min-resources")
    some = compile(net, board="zcu102", objective="min-resources", target_fps=10_000)
    assert least.resources.dsp <= some.resources.dsp
    assert taken(least) <= taken(some)
    # Nothing is narrower than single lanes.
    assert {stream.lanes for unit in least.units for stream in unit.streams} == {1}


def test_a_target_out_of_reach_says_what_is_missing(net: QNet) -> None:
    with pytest.raises(CheckFailed, match="no folding keeps that: some stream would have to move more than a pixel"):
        compile(net, board="zcu102", target_fps=2e6)
    board = load_board("zcu102")
    board = board.model_copy(update={"resources": board.resources.model_copy(update={"dsp": 60, "lut": 16_000})})
    best = compile(net, board=board)
    wanted = (
        r"that takes at least .*\d+ (DSP|LUT|FF|BRAM36) \(\d+ allowed\).* The best that fits is " + f"{best.fps:.1f}"
    )
    with pytest.raises(CheckFailed, match=wanted):
        compile(net, board=board, target_fps=900_000)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_limits_must_be_positive(value: float) -> None:
    with pytest.raises(DeepDiveError, match=re.escape(f"max_power_w is {value:g}; it must be positive.")):
        budget_of(None, value)
    with pytest.raises(DeepDiveError, match=re.escape(f"max_latency_ms is {value:g}; it must be positive.")):
        budget_of(None, None, value)


def test_front(net: QNet, tmp_path: Path) -> None:
    design = compile(net, board="zcu102", objective="min-resources", target_fps=300_000)
    front = find_front(net, design, Budget())
    assert len(front.points) > 3
    assert [point.frame_interval_cycles for point in front.points if point.chosen] == [design.frame_interval_cycles]
    for point in front.points:
        assert point.chosen or not any(beats(other, point) for other in front.points)
    assert front.points[0].fps == compile(net, board="zcu102").fps
    watts = [point.power_w for point in front.points if not point.chosen]
    assert watts[0] > watts[-1]
    front.save(tmp_path / "front.json")
    assert Front.load(tmp_path / "front.json") == front


def test_the_command_writes_the_front_and_names_an_impossible_limit(
    net: QNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(net, tmp_path / "net.onnx")
    compile_it = ["deepdive", "compile", str(tmp_path / "net.onnx"), "--board", "zcu102", "-o", str(tmp_path / "build")]
    command = [*compile_it, "--max-power-w", "5", "--max-latency-ms", "1", "--pareto", str(tmp_path / "front.json")]
    monkeypatch.setattr("sys.argv", [*command, "--json"])
    with pytest.raises(SystemExit) as done:
        main()
    assert done.value.code == 0
    front = Front.load(tmp_path / "front.json")
    assert front == Front.load(tmp_path / "build" / "front.json")
    assert front.model_dump(mode="json") == json.loads(capsys.readouterr().out)["front"]
    monkeypatch.setattr("sys.argv", [*compile_it, "--max-power-w", "1"])
    with pytest.raises(SystemExit) as done:
        main()
    assert done.value.code == 1
    assert "cannot stay within 1 W" in capsys.readouterr().err


def test_no_front(tmp_path: Path) -> None:
    (tmp_path / "front.json").write_text('{"format": 1}')
    with pytest.raises(DeepDiveError, match="is no front: Field required; compile the network again"):
        Front.load(tmp_path / "front.json")
    with pytest.raises(DeepDiveError, match=r"Cannot read front .*: no such file"):
        Front.load(tmp_path / "absent.json")
