"""A waveform on request: of one unit and some clock cycles, and what it shows is what went over the stream."""

from __future__ import annotations

from pathlib import Path

import pytest

import deepdive
from deepdive.backends.build import read_build
from deepdive.errors import DeepDiveError
from deepdive.qnet import FeatureMap, QNet
from deepdive.simulation.rtl import Run, simulate_build
from deepdive.simulation.vcd import read_vcd
from deepdive.simulation.waveform import Waveform
from network_builder import NetworkBuilder, Numbers, random_codes

LAST = 60


def tiny() -> QNet:
    builder = NetworkBuilder(FeatureMap("image", (2, 2, 3), 8), 1)
    pooled = builder.global_avg_pool("pool", builder.source, Numbers())
    builder.linear("logits", pooled, 4, Numbers())
    return builder.build("tiny")


def test_a_waveform_of_one_unit(tmp_path: Path) -> None:
    deepdive.compile(tiny(), board="zcu102").write(tmp_path / "build", backend="rtl")
    build = read_build(tmp_path / "build")
    unit = build.design.units[-1]
    wanted = Waveform(tmp_path / "unit.vcd", unit.name, 6, LAST)
    images = random_codes(tiny(), 2)
    found = simulate_build(build, images, Run(2, waveform=wanted))
    waves = read_vcd(wanted.file)
    assert not any(f".{other.name}." in name for other in build.design.units[:-1] for name in waves)
    times = [time for wave in waves.values() for time in wave.times]
    assert min(times) == 2 * 6
    assert max(times) <= 2 * LAST + 1
    (prefix,) = {name.rsplit(".", 1)[0] for name in waves if name.endswith(f".{unit.name}.output__payload")}
    payload, valid, ready = (waves[f"{prefix}.output__{part}"] for part in ("payload", "valid", "ready"))
    moved = [2 * cycle for cycle in range(6, LAST) if valid.at(2 * cycle) and ready.at(2 * cycle)]
    bits, lanes = unit.output.bits, unit.output.lanes
    codes = [payload.at(time) >> (bits * lane) & ((1 << bits) - 1) for time in moved for lane in range(lanes)]
    logits = found.maps["logits"].reshape(-1).tolist()
    assert codes == [code & ((1 << bits) - 1) for code in logits][: len(codes)]
    assert len(codes) == len(logits)


def test_what_no_waveform_can_be_made_of(tmp_path: Path) -> None:
    with pytest.raises(DeepDiveError, match=r"'wave\.txt' is no \.vcd file"):
        Waveform(Path("wave.txt"))
    with pytest.raises(DeepDiveError, match=r"'wave\.fst' cannot be FST: .* wheel lacks; write 'wave\.vcd'"):
        Waveform(Path("wave.fst"))
    with pytest.raises(DeepDiveError, match="No waveform of the cycles 5 to 4; want a range of up to 1,000,000"):
        Waveform(Path("wave.vcd"), None, 5, 4)
    with pytest.raises(DeepDiveError, match="The design has no unit 'hed'; did you mean 'head'"):
        Waveform(Path("wave.vcd"), "hed").control(["head", "tail"], [])
