"""The schedule that comes with a network: read beside the paper's parameters, kept in the file, nothing believed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from deepdive.errors import DeepDiveError
from deepdive.qnet.importers import import_network
from deepdive.qnet.importers.paper_schedule import read_schedule
from deepdive.qnet.onnx_file import load
from deepdive.qnet.schedule import Call, Schedule
from networks import four_block_network

NET = four_block_network()
NAMES = tuple(node.name for node in NET.nodes)
CALL = Call("all", NAMES, 10, 100, 200, "dw")


def test_it_survives_the_file(tmp_path: Path) -> None:
    net = replace(NET, schedule=Schedule("theirs", 200.0, (CALL,)))
    net.save(tmp_path / "net.onnx")
    assert load(tmp_path / "net.onnx").schedule == net.schedule


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (lambda: replace(CALL, name="a\nb"), "want 1 to 1000 printable characters"),
        (lambda: replace(CALL, cycles=5), "loads weights for 10 of 5 to 200 cycles"),
        (lambda: replace(CALL, cycles_high=10**13), "want rising numbers up to 1000000000000"),
        (lambda: Schedule("", 200.0, (CALL,)), "A schedule's title '' wants 1 to 1000"),
        (lambda: Schedule("theirs", float("nan"), (CALL,)), "A schedule's clock of nan MHz is outside 0..10000."),
        (lambda: Schedule("theirs", 200.0, ()), "A schedule has 0 calls; want 1 to 1000."),
        (
            lambda: replace(NET, schedule=Schedule("theirs", 200.0, (replace(CALL, nodes=("none",)),))),
            "The schedule names 'none', which is no node.",
        ),
        (lambda: replace(NET, schedule=Schedule("theirs", 200.0, (CALL, CALL))), "The schedule computes a node twice."),
    ],
)
def test_what_is_no_schedule_is_refused(schedule, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DeepDiveError) as caught:
        schedule()
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cycles.json is wrong at '': Invalid JSON"),
        ("[]", "cycles.json is wrong at '': Input should be"),
        ("{}", "cycles.json has 0 entries; want 1 to 1000."),
        (json.dumps({"head": {"ideal": 1}}), "cycles.json is wrong at 'head.weight_load': Field required."),
        (" " * (1 << 20) + "{}", "cycles.json has more than 1048576 bytes."),
    ],
)
def test_hostile_tables_are_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "cycles.json").write_text(text)
    with pytest.raises(DeepDiveError) as caught:
        read_schedule(tmp_path, NET.nodes)
    assert words in str(caught.value)


def test_the_paper_s_comes_with_its_network(shared: Path, tmp_path: Path) -> None:
    net = import_network(shared / "paper").net
    assert net.schedule is not None
    assert len(net.schedule.calls) == 19
    assert {name for call in net.schedule.calls for name in call.nodes} == {node.name for node in net.nodes}
    assert net.schedule.cycles == (6_612_762, 8_342_299)  # the sums that ARITHMETIC.md names
    assert [round(fps, 1) for fps in net.schedule.fps] == [24.0, 30.2]
    shutil.copytree(shared / "paper" / "parameters", tmp_path / "parameters")
    assert import_network(tmp_path / "parameters").net.schedule is None
