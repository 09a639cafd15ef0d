"""C simulation with streams as deep as the hardware's FIFOs: nothing deadlocks, and what would is named, not hung."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from deepdive.backends import vitis
from deepdive.backends.build import Build, write_build
from deepdive.compiler.compile import compile
from deepdive.errors import CheckFailed
from deepdive.qnet import FeatureMap, QNet
from deepdive.simulation.compare import compare
from deepdive.simulation.csim import run_bounded
from deepdive.simulation.engines import runner
from networks import Block, NetworkBuilder, Numbers, Separable, Window, random_codes


def skipping_network() -> QNet:
    """A residual block with squeeze-excite: a map that waits a frame on each of two paths."""
    return Separable(blocks=(Block(8, squeeze=2, tables=True),)).build(3)


def branched_network() -> QNet:
    """Branches that look ahead by different rows, side by side, and a residual add around them."""
    net, plain = NetworkBuilder(FeatureMap("image", (10, 12, 3)), 5), Numbers()
    x = net.conv("stem", net.source, 6, Window.same(3), plain)
    wide = net.table("wide", net.depthwise("far", x, Window.same(5), plain), plain, scale=0.25)
    both = net.concat("both", net.table("near", x, plain, scale=0.25), wide)
    x = net.add("add", x, net.conv("project", both, 6, Window(), plain), plain)
    net.linear("classes", net.global_avg_pool("pool", x, plain), 5, plain)
    return net.build()


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Build]:
    folder = tmp_path_factory.mktemp("builds")
    nets = {"skipping": skipping_network(), "branched": branched_network()}
    return {
        name: write_build(
            compile(net, board="zcu102", objective="min-resources", target_fps=50_000),
            net,
            folder / name,
            {"hls": vitis.write_project},
        )
        for name, net in nets.items()
    }


@pytest.fixture(autouse=True)
def quick_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXXFLAGS", "-O0 -Werror")


@pytest.mark.parametrize("name", ["skipping", "branched"])
def test_every_unit_equals_the_reference(builds: dict[str, Build], name: str) -> None:
    build = builds[name]
    images = random_codes(build.net, 5, seed=1)
    wanted = build.net.run(images, every=True)
    assert isinstance(wanted, dict)
    found = compare(runner("bounded")(build, images, None), wanted)
    assert (found.differing, found.maps) == (0, len(build.design.units))


@pytest.mark.parametrize(
    ("name", "unit", "stream", "stage"),
    [
        ("skipping", "body1", "body1_fork_skip_stream", "body1_fork"),
        ("skipping", "body1", "body1_fork2_skip_stream", "body1_fork2"),
        ("branched", "body1", "body1_fork2_skip_stream", "body1_fork2"),
    ],
)
def test_a_fifo_too_shallow_is_named(
    builds: dict[str, Build], tmp_path: Path, name: str, unit: str, stream: str, stage: str
) -> None:
    build = Build(tmp_path / "build", builds[name].design, builds[name].net)
    shutil.copytree(builds[name].path, build.path)
    source = build.path / "hls" / "bounded" / f"{unit}.cpp"
    text, count = re.subn(rf", \d+> {stream}\{{", rf", 2> {stream}{{", source.read_text())
    assert count == 1
    source.write_text(text)
    with pytest.raises(CheckFailed) as caught:
        run_bounded(build, random_codes(build.net, 2))
    assert "ended with 3: all stages wait: 'the input' for room in stream 'image' of 2 beats, '" in str(caught.value)
    assert f"'{stage}' for room in stream '{stream}' of 2 beats" in str(caught.value)
