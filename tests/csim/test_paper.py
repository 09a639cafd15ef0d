"""The paper's published network as C++: equal to the reference, which equals the authors' own, in every unit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import deepdive
from deepdive.backends import vitis
from deepdive.backends.build import write_build
from deepdive.compiler.compile import compile
from deepdive.simulation.compare import compare
from deepdive.simulation.csim import compile_project, simulate


@pytest.mark.slow
def test_every_unit_equals_the_authors(shared: Path, tmp_path: Path) -> None:
    paper = shared / "paper"
    if not paper.is_dir():
        pytest.skip(f"no paper data: {paper} is not a folder")
    net = deepdive.import_(paper)
    design = compile(net, board="zcu102")
    kinds = [unit.kind for unit in design.units]
    assert kinds == ["head", *["body"] * 16, "tail", "classifier"]
    # Block 8 reads one map three times: its expansion, its table, and the second of its two adds.
    forks = [stage.kind for stage in design.units[8].stages].count("fork")
    assert forks == 2

    cat = np.load(paper / "golden" / "cat.npz", allow_pickle=False)
    noise = np.random.default_rng(0).integers(0, 256, cat["input"].shape, dtype=np.uint8)
    images = np.stack([cat["input"], noise])
    write_build(design, net, tmp_path / "build", {"hls": vitis.write_project})
    compile_project(tmp_path / "build" / "hls")
    done = simulate(tmp_path / "build" / "hls", design, net, images)
    wanted = net.run(images, every=True)
    assert isinstance(wanted, dict)
    found = compare(done.maps, wanted)
    assert (found.differing, found.first_difference, found.maps) == (0, None, len(design.units))
    theirs = [name for name in done.maps if name in cat.files]
    assert len(theirs) >= 18
    for name in theirs:
        assert np.array_equal(done.maps[name][0], cat[name]), name
