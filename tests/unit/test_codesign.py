"""Co-design: tables and their errors, a sweep in one process and in several, and one that was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deepdive.cli import main
from deepdive.codesign import Candidate, EntryPoint, Space, Sweep, read_table, run
from deepdive.codesign.study import done, opened
from deepdive.compiler.budget import Budget
from deepdive.errors import DeepDiveError
from deepdive.hardware.boards import load_board

HEADER = "model,width,weights,accuracy\n"
TABLE = HEADER + "".join(
    f"efficientnet_compact_32,{width},{bits},{0.5 + width / 4 + bits / 100}\n"
    for width in (0.25, 0.5)
    for bits in (4, 8)
)
SPACE = Space(model=("efficientnet_compact_32",), width=(0.25, 0.5), resolution=(32,), weights=(4, 8))


def sweep_of(tmp_path: Path, **more: object) -> Sweep:
    (tmp_path / "table.csv").write_text(TABLE)
    table = read_table(tmp_path / "table.csv")
    return Sweep(**{"space": SPACE, "board": load_board("zcu102"), "accuracy": table, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "model,speed,accuracy\na,1,0.5\n", "row 1: unknown column 'speed'; the columns are model, width"),
        ("t.csv", "model,accuracy\na,0.5\nb,high\n", "row 2: accuracy 'high' is no number"),
        ("t.csv", "model,accuracy\na,71.8\n", "row 1: accuracy is 71.8; want a share of 0..1"),
        ("t.csv", "model,accuracy\na,nan\n", "row 1: accuracy is nan; want a share of 0..1"),
        ("t.csv", "model,weights,accuracy\na,4.5,0.5\n", "row 1: weights '4.5' is no number"),
        ("t.csv", "model,accuracy\na,\n", "row 1: accuracy is None; want a share of 0..1"),
        ("t.csv", "model,accuracy\n", "has no rows; give one a candidate"),
        ("t.json", "{", "is no JSON"),
        ("t.json", '{"accuracy": 1}', "is no list of objects"),
    ],
)
def test_bad_tables(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DeepDiveError) as error:
        read_table(tmp_path / name)
    assert message in str(error.value)


def test_tables_that_lack_a_candidate_or_contradict_themselves(tmp_path: Path) -> None:
    candidate = Candidate(model="a", width=1.0, resolution=224, weights=4, activations=8)
    (tmp_path / "t.json").write_text('[{"model": "a", "accuracy": 0.7}, {"model": "b", "accuracy": 0.5}]')
    assert read_table(tmp_path / "t.json").of(candidate) == 0.7
    with pytest.raises(DeepDiveError, match="has no row for c-1-224 W4A8"):
        read_table(tmp_path / "t.json").of(candidate.model_copy(update={"model": "c"}))
    (tmp_path / "t.csv").write_text("model,weights,accuracy\na,,0.7\na,4,0.6\n")
    with pytest.raises(DeepDiveError, match="has 2 rows that disagree for a-1-224 W4A8; give exactly one"):
        read_table(tmp_path / "t.csv").of(candidate)
    with pytest.raises(DeepDiveError, match=r"has no row for efficientnet_compact_32-0\.25-32 W4A8"):
        run(sweep_of(tmp_path, accuracy=read_table(tmp_path / "t.json")), tmp_path / "trials.log")
    assert not (tmp_path / "trials.log").exists()


@pytest.mark.parametrize("values", [{"weights": (9,)}, {"width": (0.0,)}, {"resolution": ()}, {"weights": (4, 4)}])
def test_spaces_that_cannot_be(values: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=r"outside|at least one"):
        Space(model=("a",), **values)  # type: ignore[arg-type]


def test_a_sweep_in_processes_finds_the_front_and_is_not_done_twice(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path)
    found = run(sweep, tmp_path / "trials.log", jobs=2)
    assert {one.candidate for one in found.outcomes} == set(SPACE.candidates)
    assert found.refused == ()
    for one in found.outcomes:
        assert one.front == (not any(other.beats(one) for other in found.outcomes))
        assert one.accuracy == sweep.accuracy.of(one.candidate)
    assert found.outcomes[0].front  # the most accurate one
    study = opened(sweep, tmp_path / "trials.log")
    owners = {trial.user_attrs["owner"] for trial in study.get_trials() if "outcome" in trial.user_attrs}
    assert 1 <= len(owners) <= 2
    size = (tmp_path / "trials.log").stat().st_size
    start = time.monotonic()
    assert run(sweep, tmp_path / "trials.log") == found
    assert time.monotonic() - start < 5  # nothing was compiled again
    assert (tmp_path / "trials.log").stat().st_size < size + 2000
    with pytest.raises(DeepDiveError, match="holds a sweep of other networks, another board, budget or accuracy"):
        run(sweep_of(tmp_path, budget=Budget(dsp=0.1)), tmp_path / "trials.log")


def test_candidates_with_dsp_instances_take_fewer_luts(tmp_path: Path) -> None:
    space = SPACE.model_copy(update={"width": (0.5,), "weights": (4,)})
    plain, instances = (
        run(sweep_of(tmp_path, space=space, dsp_instances=cascades), tmp_path / f"{cascades}.log").outcomes[0]
        for cascades in (False, True)
    )
    assert instances.frame_interval_cycles <= plain.frame_interval_cycles
    assert instances.resources.lut < 0.8 * plain.resources.lut


def test_a_killed_sweep_goes_on(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(TABLE)
    command = [sys.executable, "-m", "deepdive", "codesign", "--model", "efficientnet_compact_32", "--board", "zcu102"]
    command += ["--width", "0.25", "--width", "0.5", "--resolution", "32", "--weights", "4", "--weights", "8"]
    command += ["--accuracy", str(tmp_path / "table.csv"), "-o", str(tmp_path / "sweep"), "--json"]
    sweep, log = sweep_of(tmp_path), tmp_path / "sweep" / "trials.log"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and not (log.exists() and b'"owner"' in log.read_bytes()):
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(done(opened(sweep, log))) < 4
    finished = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    result = json.loads(finished.stdout)
    assert len(result["outcomes"]) == 4
    assert result == json.loads((tmp_path / "sweep" / "codesign.json").read_text())
    assert "efficientnet_compact_32-0.5-32 W4A8" in (tmp_path / "sweep" / "codesign.html").read_text()


def test_a_function_gives_the_accuracy_and_what_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_accuracy.py").write_text(
        "def by_bits(candidate):\n    return 0.6 if candidate.weights == 8 else 1 / 0\n\ntext = 'no function'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    space = SPACE.model_copy(update={"width": (0.25,)})
    found = run(sweep_of(tmp_path, space=space, accuracy=EntryPoint(name="my_accuracy:by_bits")), tmp_path / "t.log")
    assert [(one.candidate.weights, one.accuracy) for one in found.outcomes] == [(8, 0.6)]
    (refused,) = found.refused
    assert "'my_accuracy:by_bits' failed for efficientnet_compact_32-0.25-32 W4A8: ZeroDivisionError" in refused.reason
    with pytest.raises(DeepDiveError, match="'my_accuracy:text' is of type str; name a function"):
        EntryPoint(name="my_accuracy:text").of(space.candidates[0])


def test_a_database_and_a_larger_space_than_trials(tmp_path: Path) -> None:
    found = run(sweep_of(tmp_path, trials=2), f"sqlite:///{tmp_path / 'trials.db'}")
    assert 1 <= len(found.outcomes) <= 2
    with pytest.raises(DeepDiveError, match="Cannot open storage 'nosuch://x'"):
        run(sweep_of(tmp_path), "nosuch://x")


def test_the_command_names_a_bad_space(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["deepdive", "codesign", "--model", "mobilenet_v2", "--weights", "9", "--board", "zcu102"]
    monkeypatch.setattr("sys.argv", [*command, "--accuracy", os.devnull, "-o", "nowhere"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "Cannot sweep that: weights 9 is outside 2..8." in capsys.readouterr().err
