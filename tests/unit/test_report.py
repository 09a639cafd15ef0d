"""The report: its figures are the design's, strangers' names stay text, and a browser draws it without a complaint."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from deepdive.compiler.budget import Budget
from deepdive.compiler.compile import compile as compile_network
from deepdive.compiler.design import Design
from deepdive.compiler.front import find_front
from deepdive.hardware.boards import load_board
from deepdive.hardware.resources import Resources
from deepdive.hardware.stages import Dense, SharedBody
from deepdive.qnet.classify import Guess
from deepdive.qnet.schedule import Call, Schedule
from deepdive.report import (
    Classification,
    Report,
    performance,
    plots,
    print_design,
    print_schedule,
    print_synthesis,
    print_verification,
    write_page,
)
from deepdive.report.page import render
from deepdive.simulation.verify import Rung, Verification
from networks import four_block_network
from shared_designs import drawn_shared_design

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


def make_report(name: str = "four blocks", differing: int = 0) -> Report:
    net = replace(four_block_network(3), name=name)
    design = compile_network(net, board="zcu102")
    first = "'stem' differs first at (0, 0, 0, 0): it gives 1, the reference 2" if differing else None
    rung = Rung(
        engine="C simulation",
        proves="the C++",
        images=1,
        maps=5,
        values=1234,
        differing=differing,
        first_difference=first,
        seconds=0.5,
    )
    guess = Guess(0, name, 0.5)
    seen = Classification(name, b"\xff\xd8\xff", (guess,), (guess,))
    verified = Verification(fingerprint=design.fingerprint, rungs=(rung,))
    return Report(net, design, verified, (seen,), find_front(net, design, Budget()))


@pytest.fixture(scope="module")
def report() -> Report:
    return make_report()


def test_rows_are_the_designs_units(report: Report) -> None:
    assert [row.name for row in report.rows] == [unit.name for unit in report.design.units]
    assert sum(row.macs for row in report.rows) == report.net.macs()
    assert max(row.cycles for row in report.rows) == report.design.frame_interval_cycles


def test_blocks_take_turns_on_a_shared_unit() -> None:
    net = four_block_network(3)
    design = drawn_shared_design(net, load_board("zcu102"), 3)
    found = Report(net, design)
    shared = [(row, stage) for row, unit in zip(found.rows, design.units, strict=True)
              for stage in unit.stages if isinstance(stage, SharedBody)]  # fmt: skip
    assert shared
    for row, stage in shared:
        assert [turn.nodes for turn in row.turns] == [block.nodes for block in stage.blocks]
        assert sum(turn.macs for turn in row.turns) == row.macs
        assert sum(turn.share for turn in row.turns) == pytest.approx(1)
        assert sum(turn.cycles for turn in row.turns) <= row.cycles + len(row.turns)
        assert f"{row.name}: {len(row.turns)} blocks take turns on {row.multipliers:,} multipliers" in render(found)
    assert json.loads(json.dumps(found.summary()))["turns"].keys() == {row.name for row, _ in shared}
    assert not any(row.turns for row in make_report().rows)


def test_power_is_shown_whole(report: Report) -> None:
    bar = plots.power(report).data[0]
    assert sum(bar.x) == pytest.approx(report.design.power.total_w)
    assert len(bar.y) == len(set(bar.y)) == 7


def test_frames_overlap_as_the_simulation_says(report: Report) -> None:
    spans = performance.timeline(report.design, report.pipeline)
    rows, interval = [row.name for row in report.rows], report.pipeline.interval_cycles
    assert [span.unit for span in spans] == [name for name in rows for _ in range(performance.FRAMES)]
    first = {span.unit: span for span in spans if span.frame == 1}
    assert first["head"].start == 0
    for span in spans:
        assert span.start < span.end
        assert span.start == first[span.unit].start + (span.frame - 1) * interval
    # The last unit ends the frame one latency after its first beat, within what a full pipeline adds.
    assert 0.9 * report.design.latency_cycles <= first[rows[-1]].end <= 1.5 * report.design.latency_cycles
    assert any(span.frame == 2 and span.start < first[rows[-1]].end for span in spans)  # frames overlap


def test_roofline_by_hand(report: Report) -> None:
    found, design = performance.roofline(report.design), report.design
    assert found.design.gops == pytest.approx(2 * design.macs * design.fps / 1e9)
    assert found.design.gops <= found.design_gops
    assert found.design.operations_per_byte == pytest.approx(2 * design.macs / design.external_bytes)
    assert sum(unit.gops for unit in found.units) == pytest.approx(found.design.gops)
    assert found.board_gops == pytest.approx(2 * 2520 * 0.25 * (1 if design.multipliers and not packed(design) else 2))


def packed(design: Design) -> bool:
    return any(isinstance(stage, Dense) and stage.packed for unit in design.units for stage in unit.stages)


def test_json_has_all_that_the_page_shows(report: Report) -> None:
    found = json.loads(json.dumps(report.summary()))
    for key in ("roofline", "timeline", "front", "peers", "boundaries", "verification", "fps"):
        assert found[key]
    assert {peer["name"] for peer in found["peers"]} >= {"DeepDive", "Mobile-X"}
    page = render(report)
    assert "47.4 FPS/W" in page
    assert "this design</td>" in page  # the chosen point of the front


def test_terminal_says_modelled_and_names_the_totals(report: Report) -> None:
    console = Console(record=True, width=200)
    print_design(report, console)
    text = console.export_text()
    assert f"One frame every {report.design.frame_interval_cycles:,} cycles" in text
    assert (
        "All modelled, but for the latency, which a discrete-event simulation gives; nothing was synthesised." in text
    )


def test_a_difference_is_shown_with_its_place() -> None:
    bad = make_report(differing=7)
    assert bad.verification is not None
    console = Console(record=True, width=200)
    print_verification(bad.verification, console)
    assert "'stem' differs first at (0, 0, 0, 0): it gives 1, the reference 2" in console.export_text()
    assert 'class="bad">7<' in render(bad)


def test_what_was_synthesised_stands_beside_the_model() -> None:
    pytest.importorskip("amaranth")
    from deepdive.simulation.synthesis import UnitSynthesis

    report = make_report()
    row = report.rows[1]
    used = Resources(dsp=row.resources.dsp, lut=12_345, ff=6_789, bram36=1.5)
    counted = UnitSynthesis(resources=used, parts={}, logic_depth=7, longest_path="first.<b> to last")
    shown = replace(report, synthesis={row.name: counted})
    console = Console(record=True, width=200)
    print_synthesis(shown, console)
    text = console.export_text()
    assert re.search(rf"{row.name} .* 12,345 / {row.resources.lut:,} +1.5 / {row.resources.bram36:g} +7 +first", text)
    page = render(shown)
    assert f"(1 of {len(report.rows)} units)" in page
    assert "<td>12,345</td>" in page
    assert '<td>7</td><td class="text path">first.&lt;b&gt; to last</td>' in page
    assert "for what stands below as synthesised" in page
    assert shown.summary()["synthesis"][row.name]["logic_depth"] == 7
    console = Console(record=True)
    print_synthesis(report, console)
    assert not console.export_text()
    assert "Counted by synthesis" not in render(report)


def scheduled(title: str = "their C++") -> Report:
    """A network that came with a schedule: the first two nodes in one call, the rest in another."""
    report = make_report()
    names = tuple(node.name for node in report.net.nodes)
    calls = (Call("first", names[:2], 100, 5_000, 6_000, "conv"), Call(title, names[2:], 0, 20_000, 34_000, "dw"))
    return replace(report, net=replace(report.net, schedule=Schedule(title, 200.0, calls)))


def test_a_schedule_that_came_with_the_network_stands_beside_ours() -> None:
    report = scheduled()
    first, second = report.calls
    owners = [row for row in report.rows if set(row.blocks) & set(first.call.nodes)]
    assert list(first.units) == owners
    assert first.cycles == max(row.cycles for row in owners)
    assert {row.name for row in (*first.units, *second.units)} == {row.name for row in report.rows}
    console = Console(record=True, width=200)
    print_schedule(report, console)
    text = console.export_text()
    interval = f"a frame every {report.design.frame_interval_cycles:,} cycles"
    words = "Their C++: one call after the other, 25,000 to 40,000 cycles a frame, 5000.0 to 8000.0 FPS at 200 MHz"
    page = render(report)
    for shown in (text, page):
        assert words in shown
        assert interval in shown
        assert all(number in shown for number in ("5,000", "6,000", "34,000", f"{second.cycles:,}"))


def test_without_a_schedule_nothing_is_said() -> None:
    console = Console(record=True)
    print_schedule(make_report(), console)
    assert not console.export_text()
    assert "Beside the schedule" not in render(make_report())


def test_names_of_strangers_stay_text() -> None:
    assert "<img src=x" not in render(scheduled(HOSTILE))
    page = render(make_report(HOSTILE))
    assert HOSTILE not in page
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(2)&gt;" in page


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("width", [1280, 400])
def test_a_browser_draws_the_page_without_a_complaint(report: Report, tmp_path: Path, width: int) -> None:
    write_page(report, tmp_path / "report.html")
    assert CHROMIUM is not None
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
    command = [CHROMIUM, *flags, f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},1000"]
    command += ["--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom"]
    done = subprocess.run(
        [*command, (tmp_path / "report.html").as_uri()], capture_output=True, text=True, check=True, timeout=120
    )
    assert not re.findall(r"CONSOLE.*", done.stderr)
    for name in ("cycles", "resources", "work", "power", "roofline", "timeline", "front"):
        assert re.search(rf'id="plot-{name}"[^>]*class="[^"]*js-plotly-plot', done.stdout)
    bars = len(re.findall(r'<g class="point">', done.stdout))
    assert bars >= len(report.rows) * 2
