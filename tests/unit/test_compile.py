"""compile: designs that cover the network, keep the budget, and say what is missing when they cannot."""

from __future__ import annotations

import itertools
import re
import time
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from deepdive.compiler.budget import KINDS, Budget, excess, usage
from deepdive.compiler.build import build_units
from deepdive.compiler.compile import compile
from deepdive.compiler.design import Design
from deepdive.compiler.fifos import likely_rooms
from deepdive.compiler.folding import Folder, Site
from deepdive.compiler.partition import partition
from deepdive.compiler.plan import JOINS, Way
from deepdive.compiler.search import NO_ROOM, REPACK_PRICE, Choice, Question
from deepdive.errors import CheckFailed, DeepDiveError
from deepdive.hardware.boards import Board, load_board
from deepdive.hardware.stages import Dense
from deepdive.qnet import FeatureMap, QNet
from networks import Block, NetworkBuilder, Numbers, Separable, Window, four_block_network, separable_networks
from zoo_networks import efficientnet_lite0, mobilenet_v2


def check(net: QNet, design: Design, budget: Budget = Budget()) -> None:  # noqa: B008 - frozen
    """Every node once, consistent streams (the models check those), within the budget, and the same after JSON."""
    assert [block for unit in design.units for block in unit.blocks] == [node.name for node in net.nodes]
    nodes = {node.name: node for node in net.nodes}
    for unit in design.units:
        for stream, wanted in ((unit.output, nodes[unit.output_map].output), (unit.input, net.maps[unit.input_map])):
            height, width, channels = wanted.shape
            assert (stream.height, stream.pixel_channels(width) - stream.padding) == (height, channels)
    assert design.macs == net.macs()
    limits = budget.limits(design.board, design.clock_mhz, design.frame_interval_cycles)
    assert excess(usage(design.units), limits) == {}
    assert Design.model_validate_json(design.model_dump_json()) == design


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(separable_networks())
def test_random_networks(net: QNet) -> None:
    check(net, compile(net, board="zcu102"))


def test_four_blocks_are_as_fast_as_their_beats() -> None:
    design = compile(four_block_network(), board="zcu102")
    check(four_block_network(), design)
    assert design.frame_interval_cycles == 16 * 16 / 2  # two pixels a cycle
    assert design.fps == 250e6 / 128


def test_the_image_comes_two_pixels_a_beat_where_one_would_be_too_slow() -> None:
    net = four_block_network()
    for target, lanes in ((250e6 / 256, 3), (250e6 / 255, 6)):
        design = compile(net, board="zcu102", objective="min-resources", target_fps=target)
        check(net, design)
        assert design.units[0].input.lanes == lanes
    # A first layer of stride 1 reads every column on its own.
    plain = NetworkBuilder(FeatureMap("image", (16, 16, 3)), 1)
    numbers = Numbers()
    stem = plain.conv("stem", plain.source, 8, Window.same(3), numbers)
    plain.linear("classifier", plain.global_avg_pool("pool", stem, numbers), 4, numbers)
    design = compile(plain.build(), board="zcu102")
    assert (design.frame_interval_cycles, design.units[0].input.lanes) == (256, 3)


@pytest.fixture(scope="module")
def mobilenet() -> QNet:
    return mobilenet_v2()


def test_mobilenet_v2_takes_seconds(mobilenet: QNet) -> None:
    start = time.process_time()
    design = compile(mobilenet, board="zcu102")
    assert time.process_time() - start < 20
    check(mobilenet, design)
    assert design.fps > 1500
    assert design.mac_utilization > 0.85
    # 3.5 M weights of 8 bits do not fit 775 block RAMs: the largest layer leaves the chip first.
    outside = [stage.name for unit in design.units for stage in unit.stages if stage.external_bytes]
    assert outside == ["classifier_linear"]


@pytest.mark.parametrize(("weight_bits", "sharing"), [(4, "auto"), (8, "never")])
def test_efficientnet_lite0_fits(weight_bits: int, sharing: Literal["auto", "never"]) -> None:
    net = efficientnet_lite0(weight_bits=weight_bits)
    design = compile(net, board="zcu102", sharing=sharing)
    check(net, design)
    assert design.fps > 500


def test_a_slower_clock_is_slower() -> None:
    design = compile(four_block_network(), board="zcu102", clock_mhz=100)
    assert (design.clock_mhz, design.fps) == (100, 100e6 / 128)


def test_fewest_resources_at_a_target() -> None:
    net = four_block_network()
    fast, slow = (compile(net, board="zcu102", objective="min-resources", target_fps=fps) for fps in (500_000, 50_000))
    assert fast.fps >= 500_000
    assert slow.fps >= 50_000
    assert slow.resources.dsp < fast.resources.dsp
    check(net, slow)


def test_other_objectives_beat_fps_on_their_own_ground() -> None:
    net = four_block_network()
    by = {goal: compile(net, board="zcu102", objective=goal) for goal in ("fps", "fps-per-watt", "latency")}  # type: ignore[arg-type]
    assert by["fps"].fps == max(design.fps for design in by.values())
    assert by["latency"].latency_cycles == min(design.latency_cycles for design in by.values())
    efficiency = {goal: design.fps / design.power.total_w for goal, design in by.items()}
    assert efficiency["fps-per-watt"] == max(efficiency.values())
    floor = compile(net, board="zcu102", objective="fps-per-watt", target_fps=900_000)
    assert floor.fps >= 900_000


def small_board(**resources: float) -> Board:
    board = load_board("zcu102")
    return board.model_copy(
        update={"name": "small", "resources": board.resources.model_copy(update=resources)}  # type: ignore[arg-type]
    )


def test_what_is_missing_is_said_with_numbers() -> None:
    with pytest.raises(CheckFailed) as failed:
        compile(four_block_network(), board=small_board(dsp=10))
    text = str(failed.value)
    wanted = r"'four blocks' does not fit board 'small' for want of DSP \(needs \d+, allowed 9: \d+ short\)"
    assert re.search(wanted, text)
    assert failed.value.exit_code == 1


def test_impossible_target_names_the_nearest_that_works() -> None:
    with pytest.raises(CheckFailed, match=r"cannot reach 2000000\.0 FPS \(125 cycles a frame\): .* is 1953125\.0 FPS"):
        compile(four_block_network(), board="zcu102", target_fps=2_000_000)
    with pytest.raises(CheckFailed, match="cannot reach"):
        compile(four_block_network(), board="zcu102", objective="min-resources", target_fps=2_000_000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"board": "zcu12"}, "Unknown board 'zcu12'; did you mean 'zcu102'"),
        ({"board": "zcu102", "clock_mhz": 900}, r"Clock 900 MHz is outside 0\.\.400 MHz of board 'zcu102'"),
        ({"board": "zcu102", "clock_mhz": float("nan")}, "Clock nan MHz is outside"),
        ({"board": "zcu102", "objective": "speed"}, "Unknown objective 'speed'"),
        ({"board": "zcu102", "target_fps": -1}, "target_fps is -1; it must be positive"),
        ({"board": "zcu102", "target_fps": float("inf")}, "target_fps is inf; it must be positive"),
    ],
)
def test_bad_usage(options: dict[str, object], message: str) -> None:
    with pytest.raises(DeepDiveError, match=message) as failed:
        compile(four_block_network(), **options)  # type: ignore[arg-type]
    assert failed.value.exit_code == 2


def weights_of(design: Design) -> dict[str, str]:
    return {s.node: s.weights for unit in design.units for s in unit.stages if isinstance(s, Dense)}


def wide_network() -> QNet:
    """The last layer holds most of the weights."""
    return Separable(stem=(16, 16), blocks=(Block(32, stride=2),), features=256, classes=1000).build(1)


def test_weights_leave_block_ram_only_when_they_must() -> None:
    roomy = weights_of(compile(wide_network(), board="zcu102", objective="min-resources", target_fps=500))
    assert set(roomy.values()) == {"on_chip"}
    tight = weights_of(compile(wide_network(), board=small_board(bram36=24), objective="min-resources", target_fps=500))
    assert tight["classifier"] == "external"
    assert list(tight.values()).count("external") == 1


def test_search_finds_the_cheapest_of_all_foldings() -> None:
    """Against brute force over every combination of options of a small network with a residual add."""
    net = NetworkBuilder(FeatureMap("image", (4, 4, 2)), 1)
    plain = Numbers()
    x = net.conv("a", net.source, 4, Window(), plain)
    y = net.conv("b", x, 4, Window(), plain)
    x = net.add("c", x, y, plain)
    net.global_avg_pool("d", x, plain)
    plans = partition(net.build())
    board = load_board("zcu102")
    folder = Folder(plans, Site(board, 250, Budget()), 16, 256)
    rng = np.random.default_rng(0)
    for interval in (16, 32, 64, 128):
        prices = rng.uniform(0, 1, len(KINDS)) * [1, 0.01, 0.01, 1, 0, 0]
        found = folder.search.cheapest(Question(interval, prices, {}))
        best = min(brute_force(folder, interval, prices), default=None)
        assert found is not None
        assert best is not None
        repacks = sum(a != t for choice in found.choices for a, t in zip(choice.arriving, choice.taken, strict=True))
        assert found.costs @ prices + repacks * REPACK_PRICE == pytest.approx(best)


def brute_force(folder: Folder, interval: int, prices: np.ndarray) -> list[float]:
    """Price of every combination without repacks, and with one in front of any stage."""
    search = folder.search
    totals: list[float] = []
    per_stage = [np.flatnonzero(found.intervals <= interval) for found in search.stages]
    for rows in itertools.product(*per_stage):
        ways: dict[str, Way] = {}
        price = 0.0
        for operation, found, row in zip(search.operations, search.stages, rows, strict=True):
            want = operation.inputs[0].ways[found.ways_in[row]]
            for edge in operation.inputs:
                have = ways.get(edge.name, want)
                if have != want:
                    repack = search.repacks[edge.name]
                    at = (repack.ways_in == edge.ways.index(have)) & (repack.ways_out == edge.ways.index(want))
                    at &= repack.intervals <= interval
                    price += min(repack.costs[at] @ prices, default=np.inf) + REPACK_PRICE
            price += float(found.costs[row] @ prices)
            if operation.kind in JOINS:
                place = operation.inputs[0].ways.index(want)
                price += sum(float(search.fifos(edge, NO_ROOM, operation)[place] @ prices) for edge in operation.inputs)
            ways.update({edge.name: edge.ways[found.ways_out[row]] for edge in operation.outputs})
        totals.append(price)
    return totals


def test_costs_of_the_search_are_those_of_the_units() -> None:
    net = four_block_network()
    plans = partition(net)
    folder = Folder(plans, Site(load_board("zcu102"), 250, Budget()), 256, 4096)
    prices = np.array([1e-3, 1e-5, 1e-6, 1e-3, 0, 0])
    folding = folder.search.cheapest(Question(1024, prices, likely_rooms(folder.operations, 1024)))
    assert folding is not None
    assert all(isinstance(choice, Choice) for choice in folding.choices)
    used = usage(build_units(folder.plans, folding.choices))
    costs = dict(zip(KINDS, folding.costs, strict=True))
    assert used["dsp"] == costs["dsp"]
    # The search knows the FIFOs' depths only nearly, and counts the image's FIFO, which no unit owns.
    assert used["lut"] == pytest.approx(costs["lut"], rel=0.1)


def test_design_file(tmp_path: Path) -> None:
    design = compile(four_block_network(), board="zcu102")
    path = tmp_path / "design.json"
    design.save(path)
    assert Design.load(path) == design
    path.write_text(path.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(
        DeepDiveError, match=r"is no design of format 1: format: Input should be 1; compile the network"
    ):
        Design.load(path)
    path.write_text("{")
    with pytest.raises(DeepDiveError, match="is no design of format 1"):
        Design.load(path)
    with pytest.raises(DeepDiveError, match="no such file"):
        Design.load(tmp_path / "absent.json")


def test_summary_has_the_stable_keys() -> None:
    design = compile(four_block_network(), board="zcu102")
    summary = design.summary()
    assert set(summary) == {
        "network",
        "board",
        "clock_mhz",
        "frame_interval_cycles",
        "latency_cycles",
        "fps",
        "resources",
        "mac_utilization",
        "power_w",
        "fps_per_watt",
        "boundaries",
        "label",
        "units",
    }
    assert set(summary["resources"]) == {"dsp", "lut", "ff", "bram36", "uram"}
    assert summary["resources"]["dsp"] == {"used": design.resources.dsp, "available": 2520}
    for key in ("power_w", "fps_per_watt"):
        assert set(summary[key]) == {"value", "low", "high", "boundary"}
        assert summary[key]["low"] < summary[key]["value"] < summary[key]["high"]
    assert summary["boundaries"][-1]["power_w"]["value"] == pytest.approx(summary["power_w"]["value"])
    assert summary["boundaries"][-1]["boundary"] == summary["power_w"]["boundary"]
    assert [unit["name"] for unit in summary["units"]] == ["head", "body1", "body2", "tail", "classifier"]
    assert summary["label"] == "modelled"


def test_fingerprint_follows_the_weights_and_nothing_else() -> None:
    first, again = (compile(four_block_network(seed), board="zcu102").fingerprint for seed in (0, 0))
    other = compile(four_block_network(1), board="zcu102").fingerprint
    assert first == again != other
    assert len(first) == 64


def test_block_ram_that_is_missing_is_said_with_what_was_tried() -> None:
    with pytest.raises(
        CheckFailed, match=r"with all weights that may go there in LUTs and external memory, for want of"
    ):
        compile(wide_network(), board=small_board(bram36=0, lut=20_000))
