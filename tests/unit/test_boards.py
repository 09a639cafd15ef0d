"""Board files: those of the package, a user's own, and broken ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deepdive.errors import DeepDiveError
from deepdive.hardware.boards import BOARDS, board_names, load_board
from deepdive.hardware.power import PL, PL_MEMORY, model_power
from deepdive.hardware.resources import Resources


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("zcu102", (2520, 274080, 548160, 912, 0)),
        ("zcu104", (1728, 230400, 460800, 312, 96)),
        ("kv260", (1248, 117120, 234240, 144, 64)),
        ("ultra96-v2", (360, 70560, 141120, 216, 0)),
        ("pynq-z1", (220, 53200, 106400, 140, 0)),
        ("pynq-z2", (220, 53200, 106400, 140, 0)),
        ("zybo-z7-10", (80, 17600, 35200, 60, 0)),
        ("zybo-z7-20", (220, 53200, 106400, 140, 0)),
    ],
)
def test_boards_of_the_package(name: str, counts: tuple[int, ...]) -> None:
    board = load_board(name)
    assert tuple(board.resources.model_dump().values()) == counts
    assert board.name == name
    assert board.clock_mhz <= board.max_clock_mhz


def test_every_board_is_tested() -> None:
    assert board_names() == [
        *("kv260", "pynq-z1", "pynq-z2", "ultra96-v2"),
        *("zcu102", "zcu104", "zybo-z7-10", "zybo-z7-20"),
    ]


def test_unknown_board_names_the_nearest() -> None:
    with pytest.raises(DeepDiveError, match=re.escape("Unknown board 'zcu12'; did you mean 'zcu102'? Known: kv260,")):
        load_board("zcu12")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text((BOARDS / "zcu102.toml").read_text().replace('name = "zcu102"', 'name = "mine"'))
    return path


def test_a_board_of_ones_own(own: Path) -> None:
    board = load_board(own)
    assert board.name == "mine"
    assert load_board(str(own)) == board


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dsp = 2520", "dsp = -1", r"resources.dsp: Input should be greater than or equal to 0 \(got -1\)"),
        ("lut = 274080", "lut = 0", "resources.lut and resources.ff must be positive"),
        ("clock_mhz = 250", "clock_mhz = 500", "clock_mhz 500 is above max_clock_mhz 400"),
        ("ports = 4", "ports = 0", "memory.ports: Input should be greater than or equal to 1"),
        ("uram = 0", "uram = 0\nbanana = 1", "resources.banana: Extra inputs are not permitted"),
        ("bandwidth_gb_s = 17.0", "", "memory.bandwidth_gb_s: Field required"),
        ('name = "mine"', 'name = "../../etc"', "name: String should match pattern"),
        ('name = "mine"', "name = ", "is no TOML"),
    ],
)
def test_broken_boards_are_refused(own: Path, old: str, new: str, message: str) -> None:
    text = own.read_text()
    assert old in text
    own.write_text(text.replace(old, new, 1))
    with pytest.raises(DeepDiveError, match=message):
        load_board(own)


def test_files_that_are_no_board(tmp_path: Path) -> None:
    with pytest.raises(DeepDiveError, match="no such file"):
        load_board(tmp_path / "absent.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DeepDiveError, match="is no TOML"):
        load_board(binary)
    binary.write_bytes(b"#" * 70_000)
    with pytest.raises(DeepDiveError, match="larger than 65536 bytes"):
        load_board(binary)


def test_power_by_hand() -> None:
    board = load_board("zcu102")
    used = Resources(dsp=1000, lut=100_000, ff=100_000, bram36=100.0)
    power = model_power(board, used, 250, 1.0, 1e9)
    assert power.dsp_w == pytest.approx(1000 * 3.5e-6 * 250)
    assert power.logic_w == pytest.approx(100_000 * (0.0557e-6 + 0.0011e-6) * 250)
    assert power.ram_w == pytest.approx(100 * 20.6e-6 * 250)
    assert power.clock_w == pytest.approx(0.030 + 100_000 * 0.0206e-6 * 250)
    assert power.memory_w == pytest.approx(0.16)
    assert power.total_w == pytest.approx(power.static_w + power.dynamic_w + power.ps_w)
    assert power.low < power.total_w < power.high
    assert power.high - power.low == pytest.approx(2 * (0.4 * power.dynamic_w + 0.3 * (0.7 + 2.8)))
    logic, memory, whole = power.boundaries
    assert whole.value == pytest.approx(power.total_w)
    assert memory.value == pytest.approx(whole.value - 2.8)
    assert logic.value == pytest.approx(memory.value - 0.16)
    assert [watts.boundary for watts in power.boundaries] == [PL, PL_MEMORY, power.boundary]


def test_power_follows_clock_and_activity() -> None:
    board, used = load_board("zcu102"), Resources(dsp=1000)
    busy, idle = model_power(board, used, 200, 1.0, 0), model_power(board, used, 200, 0.5, 0)
    assert busy.dsp_w == pytest.approx(2 * idle.dsp_w)
    assert busy.clock_w == idle.clock_w
    with pytest.raises(ValueError, match=r"activity 1\.5 is outside 0\.\.1"):
        model_power(board, used, 200, 1.5, 0)
