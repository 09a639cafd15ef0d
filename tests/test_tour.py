"""The tour: a network of four blocks walks the whole house, from PyTorch to a C++ accelerator. Read this file first.

Each test is one room. A fixture makes what the next rooms need, once.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

import deepdive
from deepdive.backends.build import read_build
from deepdive.qnet import Add, Conv, GlobalAvgPool, Linear
from deepdive.report import Report, write_page


class Residual(nn.Module):
    """An inverted residual as users write it."""

    def __init__(self, channels: int, expanded: int, kernel: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, expanded, 1, bias=False),
            nn.BatchNorm2d(expanded),
            nn.ReLU6(),
            nn.Conv2d(expanded, expanded, kernel, padding=kernel // 2, groups=expanded, bias=False),
            nn.BatchNorm2d(expanded),
            nn.ReLU6(),
            nn.Conv2d(expanded, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def four_blocks() -> nn.Module:
    """Stem, two inverted residuals, a depthwise block with stride 2, a classifier; random weights, warm batch norm."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        Residual(8, 24, kernel=3),
        Residual(8, 16, kernel=5),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8),
        nn.ReLU(),
        nn.Conv2d(8, 32, 1),
        nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )
    model.train()
    for _ in range(8):
        model(torch.randn(16, 3, 24, 32))
    return model.eval()


MEAN, STD = (124.0, 116.0, 104.0), (58.0, 57.0, 57.0)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Raw pixels, as a camera gives them: uint8, rows, columns, RGB."""
    return np.random.default_rng(7).integers(0, 256, (6, 24, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return four_blocks()


@pytest.fixture(scope="module")
def net(model: nn.Module, images: np.ndarray) -> deepdive.QNet:
    return deepdive.quantize(model, images, weights=8, activations=8, mean=MEAN, std=STD)


@pytest.fixture(scope="module")
def build(net: deepdive.QNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    design = deepdive.compile(net, board="zcu102")
    folder = tmp_path_factory.mktemp("tour") / "build"
    design.write(folder)
    return folder


def test_quantization_gives_an_integer_network(model: nn.Module, net: deepdive.QNet, images: np.ndarray) -> None:
    """Batch norm is folded and ReLU is a clip: what is left are the operators of the contract."""
    kinds = [type(node) for node in net.nodes]
    assert kinds == [Conv] * 4 + [Add] + [Conv] * 3 + [Add] + [Conv] * 2 + [GlobalAvgPool, Linear]

    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    wanted = model((pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None])
    codes = net.run(images)
    assert codes.dtype == np.uint8
    real = net.output.dequantize(codes)[:, 0, 0]
    assert np.abs(real - wanted.detach().numpy()).max() < 0.1 * np.ptp(wanted.detach().numpy())


def test_the_file_means_the_same_to_a_third_party(net: deepdive.QNet, images: np.ndarray, tmp_path: Path) -> None:
    """The saved network is plain ONNX: a stock ONNX Runtime gives the very same codes, and it loads back."""
    net.save(tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    (codes,) = session.run(None, {net.input.name: images})
    assert np.array_equal(codes, net.run(images))
    assert np.array_equal(deepdive.load(tmp_path / "net.onnx").run(images), codes)


def test_the_compiler_covers_every_operator_once(net: deepdive.QNet) -> None:
    """Blocks become compute units, each stage is folded until the slowest is as fast as the board allows."""
    design = deepdive.compile(net, board="zcu102")
    assert [block for unit in design.units for block in unit.blocks] == [node.name for node in net.nodes]
    assert {unit.kind for unit in design.units} == {"head", "body", "tail", "classifier"}
    assert design.frame_interval_cycles == max(unit.interval_cycles for unit in design.units)
    assert design.resources.dsp <= design.board.resources.dsp
    assert design.fps == design.clock_mhz * 1e6 / design.frame_interval_cycles


def test_every_unit_computes_what_was_trained(build: Path, net: deepdive.QNet, images: np.ndarray) -> None:
    """The emitted C++ is compiled and run; every unit's output equals the reference, bit for bit."""
    found = deepdive.verify(build, images[:3])
    found.check()
    csim = next(rung for rung in found.rungs if rung.engine == "C simulation")
    outputs = [net.maps[unit.output_map].shape for unit in read_build(build).design.units]
    assert csim.values == 3 * sum(height * width * channels for height, width, channels in outputs)


def test_the_report_is_one_page(build: Path, net: deepdive.QNet, tmp_path: Path) -> None:
    """One HTML file, nothing to fetch."""
    write_page(Report(net, read_build(build).design), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "frame interval" in page
    assert 'src="http' not in page
    assert "<link" not in page
