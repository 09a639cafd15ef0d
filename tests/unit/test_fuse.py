"""Every pattern that becomes a layer of the plan, and every refusal with its exact words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepdive.errors import UnsupportedLayer
from deepdive.quantization.fuse import fuse
from deepdive.quantization.plan import (
    AddLayer,
    Clip,
    ConvLayer,
    Layer,
    Plan,
    PoolLayer,
    ScaleLayer,
    TableLayer,
)
from deepdive.quantization.trace import trace

INFINITY = float("inf")
SHAPE = (4, 6, 8)


class Net(nn.Module):
    """A 1x1 convolution `conv`, then whatever a test wants; `other` is a second one, `fc` reads 4 channels."""

    def __init__(self, body: Callable[[Net, Tensor], Tensor]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)
        self.other = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.squeeze = nn.Conv2d(4, 4, 1)
        self.fc = nn.Linear(4, 3)
        self.big_fc = nn.Linear(4 * 6 * 8, 3)
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self, self.conv(x))


def plan_of(model: nn.Module | Callable[[Net, Tensor], Tensor], shape: tuple[int, int, int] = SHAPE) -> Plan:
    if not isinstance(model, nn.Module):
        model = Net(model)
    return fuse(trace(model, shape), shape)


def kinds(plan: Plan) -> list[type[Layer]]:
    return [type(layer) for layer in plan.layers]


def test_batch_norm_and_activation_join_the_convolution() -> None:
    model = nn.Sequential(nn.Conv2d(4, 5, 3, stride=2, padding=1), nn.BatchNorm2d(5), nn.ReLU6())
    (layer,) = plan_of(model).layers
    assert isinstance(layer, ConvLayer)
    assert (layer.name, layer.inputs, layer.shape) == ("0", ["input"], (5, 3, 4))
    assert (layer.stride, layer.padding, layer.groups) == ((2, 2), (1, 1, 1, 1), 1)
    assert layer.norm is not None
    assert layer.clip == Clip(0.0, 6.0)


@pytest.mark.parametrize(
    ("activation", "clip"),
    [
        (nn.ReLU(), Clip(0.0, INFINITY)),
        (nn.ReLU6(), Clip(0.0, 6.0)),
        (nn.Hardtanh(-2.0, 3.0), Clip(-2.0, 3.0)),
        (nn.Sequential(nn.Hardtanh(-2.0, 3.0), nn.ReLU()), Clip(0.0, 3.0)),
    ],
)
def test_clips(activation: nn.Module, clip: Clip) -> None:
    (layer,) = plan_of(nn.Sequential(nn.Conv2d(4, 4, 1), activation)).layers
    assert isinstance(layer, ConvLayer)
    assert layer.clip == clip


@pytest.mark.parametrize(
    ("function", "clip"),
    [
        (F.relu, Clip(0.0, INFINITY)),
        (F.relu6, Clip(0.0, 6.0)),
        (torch.relu, Clip(0.0, INFINITY)),
        (lambda x: x.relu(), Clip(0.0, INFINITY)),
        (lambda x: x.relu_(), Clip(0.0, INFINITY)),
        (lambda x: torch.clamp(x, 0, 6), Clip(0.0, 6.0)),
        (lambda x: x.clamp(min=-1.0), Clip(-1.0, INFINITY)),
        (F.hardtanh, Clip(-1.0, 1.0)),
    ],
)
def test_functional_clips(function: Callable[[Tensor], Tensor], clip: Clip) -> None:
    (layer,) = plan_of(lambda _, x: function(x)).layers
    assert isinstance(layer, ConvLayer)
    assert layer.clip == clip


def test_zero_padding_joins_the_convolution() -> None:
    model = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 2)), nn.Conv2d(4, 4, 5, padding=(1, 2)))
    (layer,) = plan_of(model).layers
    assert isinstance(layer, ConvLayer)
    assert layer.padding == (1, 2, 3, 3)
    (_, layer) = plan_of(lambda net, x: net.other(F.pad(x, (1, 0, 0, 1)))).layers
    assert isinstance(layer, ConvLayer)
    assert layer.padding == (1, 2, 2, 1)


def test_same_padding_by_name_and_by_computation() -> None:
    (layer,) = plan_of(nn.Conv2d(4, 4, (3, 5), padding="same")).layers
    assert isinstance(layer, ConvLayer)
    assert layer.padding == (1, 2, 1, 2)

    class SameConv(nn.Conv2d):
        """Padding computed from the shape in `forward`, as timm does it."""

        def forward(self, x: Tensor) -> Tensor:
            height, width = x.size()[-2:]
            rows, columns = ((-(-n // 2) - 1) * 2 + 3 - n for n in (height, width))
            if rows > 0 or columns > 0:
                x = F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
            return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)

    (layer,) = plan_of(nn.Sequential(SameConv(4, 4, 3, stride=2)), (4, 7, 8)).layers
    assert isinstance(layer, ConvLayer)
    assert (layer.padding, layer.stride, layer.shape) == ((1, 0, 1, 1), (2, 2), (4, 4, 4))


@pytest.mark.parametrize(
    "add",
    [lambda a, b: a + b, torch.add, lambda a, b: a.add(b), lambda a, b: a.add_(b), lambda a, b: sum([a, b])],
)
def test_residual_adds(add: Callable[[Tensor, Tensor], Tensor]) -> None:
    plan = plan_of(lambda net, x: F.relu(add(x, net.other(x))))
    assert kinds(plan) == [ConvLayer, ConvLayer, AddLayer]
    last = plan.layers[-1]
    assert isinstance(last, AddLayer)
    assert (last.inputs, last.clip) == (["conv", "other"], Clip(0.0, INFINITY))


def test_an_in_place_add() -> None:
    def body(net: Net, x: Tensor) -> Tensor:
        y = net.other(x)
        y += x
        return y

    assert kinds(plan_of(body)) == [ConvLayer, ConvLayer, AddLayer]


@pytest.mark.parametrize(
    "pool",
    [
        nn.AdaptiveAvgPool2d(1),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.AvgPool2d((6, 8)),
        lambda x: F.adaptive_avg_pool2d(x, 1),
        lambda x: F.avg_pool2d(x, x.size()[2:]),
        lambda x: x.mean([2, 3]),
        lambda x: x.mean((-2, -1), keepdim=True),
        lambda x: torch.mean(x, dim=(2, 3)),
        lambda x: x.mean(3).mean(2),
    ],
)
def test_global_average_pools(pool: Callable[[Tensor], Tensor]) -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc, self.pool = nn.Conv2d(4, 4, 1), nn.Linear(4, 3), pool

        def forward(self, x: Tensor) -> Tensor:
            x = self.pool(self.conv(x))
            return self.fc(x.flatten(1))

    plan = plan_of(Pooled())
    assert kinds(plan) == [ConvLayer, PoolLayer, ConvLayer]
    assert [layer.shape for layer in plan.layers] == [(4, 6, 8), (4, 1, 1), (3, 1, 1)]
    last = plan.layers[-1]
    assert isinstance(last, ConvLayer)
    assert last.is_linear


FLATTENS = (
    lambda x: torch.flatten(x, 1),
    lambda x: x.view(x.size(0), -1),
    lambda x: x.reshape(x.shape[0], -1),
    lambda x: F.dropout(x.flatten(1), training=False),
)


@pytest.mark.parametrize("flatten", FLATTENS)
def test_a_linear_on_a_flattened_map_is_a_convolution_as_large_as_the_map(flatten: Callable[[Tensor], Tensor]) -> None:
    (_, fc) = plan_of(lambda net, x: net.big_fc(flatten(x))).layers
    assert isinstance(fc, ConvLayer)
    assert (fc.is_linear, fc.weight.shape, fc.shape) == (False, (3, 4, 6, 8), (3, 1, 1))


@pytest.mark.parametrize("flatten", [*FLATTENS, lambda x: x.squeeze(3).squeeze(2)])
def test_flattening_one_pixel(flatten: Callable[[Tensor], Tensor]) -> None:
    (*_, fc) = plan_of(lambda net, x: net.fc(flatten(F.adaptive_avg_pool2d(x, 1)))).layers
    assert isinstance(fc, ConvLayer)
    assert (fc.is_linear, fc.weight.shape) == (True, (3, 4, 1, 1))


def test_what_changes_nothing_is_removed() -> None:
    class StochasticDepth(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * torch.rand(1) if self.training else x

    model = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Identity(), nn.Dropout(), StochasticDepth(), nn.Dropout2d(), nn.ReLU())
    (layer,) = plan_of(model).layers
    assert isinstance(layer, ConvLayer)
    assert layer.clip == Clip(0.0, INFINITY)


def test_a_shared_convolution_keeps_its_value_when_one_reader_clips() -> None:
    """ReLU may not join a layer that somebody else reads: it becomes a table."""
    plan = plan_of(lambda net, x: F.relu(x) + x)
    assert kinds(plan) == [ConvLayer, TableLayer, AddLayer]
    assert plan.layers[-1].inputs == ["clip", "conv"]


@pytest.mark.parametrize(
    "curve",
    [
        F.hardswish,
        F.silu,
        F.hardsigmoid,
        torch.sigmoid,
        nn.Hardswish(),
        nn.SiLU(),
        nn.Hardsigmoid(),
        nn.Sigmoid(),
        lambda x: x * torch.sigmoid(x),
        lambda x: x * F.relu6(x + 3) / 6,
        lambda x: F.leaky_relu(x, 0.2),
        lambda x: 1.0 - 0.5 * x,
    ],
)
def test_curves_are_tables_of_one_value(curve: Callable[[Tensor], Tensor]) -> None:
    plan = plan_of(nn.Sequential(nn.Conv2d(4, 4, 1), curve) if isinstance(curve, nn.Module) else lambda _, x: curve(x))
    assert kinds(plan) == [ConvLayer, TableLayer]
    table = plan.layers[-1]
    assert isinstance(table, TableLayer)
    x = torch.linspace(-5, 5, 11)
    assert torch.equal(table.function(x), curve(x))


def test_squeeze_excite_is_a_channel_scale() -> None:
    def body(net: Net, x: Tensor) -> Tensor:
        factors = F.hardsigmoid(net.squeeze(x.mean((2, 3), keepdim=True)))
        return factors * x

    plan = plan_of(body)
    assert kinds(plan) == [ConvLayer, PoolLayer, ConvLayer, TableLayer, ScaleLayer]
    assert plan.layers[-1].inputs == ["conv", "hardsigmoid"]


def test_functional_batch_norm() -> None:
    class NormAct(nn.BatchNorm2d):
        """Batch norm and activation in one module, as timm writes it."""

        def __init__(self, channels: int) -> None:
            super().__init__(channels, eps=1e-3)
            self.act = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            x = F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.1, self.eps)
            return self.act(x)

    (layer,) = plan_of(nn.Sequential(nn.Conv2d(4, 4, 1), NormAct(4))).layers
    assert isinstance(layer, ConvLayer)
    assert layer.norm is not None
    assert layer.norm.eps == 1e-3
    assert layer.clip == Clip(0.0, INFINITY)


def test_names_are_dotted_and_unique() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.conv(x) + x

    plan = plan_of(nn.Sequential(nn.Conv2d(4, 4, 1), Block()))
    assert [layer.name for layer in plan.layers] == ["0", "1.conv", "1.add", "1.add_2"]


class ValueBranch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Two(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.conv(x), x


MAPPED = (
    "has no integer form; DeepDive maps Conv2d, Linear, BatchNorm, ZeroPad2d, add, ReLU, ReLU6, Hardtanh, Hardswish, "
    "SiLU, Hardsigmoid, Sigmoid, average and max pooling, channel concatenation, squeeze-excite, flatten and Dropout."
)
SHARED = nn.Conv2d(4, 4, 1)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (nn.Sequential(nn.ConvTranspose2d(4, 4, 2)), f"'0' is ConvTranspose2d, which {MAPPED}"),
        (nn.Sequential(nn.Sequential(nn.PReLU())), f"'0.0' is PReLU, which {MAPPED}"),
        (lambda net, x: torch.cumsum(net.other(x), 1), f"'Net' is cumsum, which {MAPPED}"),
        (
            nn.Sequential(nn.Conv2d(4, 4, 3, dilation=2)),
            "'0' is Conv2d, which has dilation (2, 2); use dilation 1 and a larger kernel.",
        ),
        (
            nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")),
            "'0' is Conv2d, which pads with 'reflect'; use padding_mode='zeros'.",
        ),
        (
            nn.Sequential(nn.Conv2d(4, 4, 1, padding=1)),
            "'0' is Conv2d, which pads by (1, 1, 1, 1), as much as its kernel (1, 1); pad by less than the kernel.",
        ),
        (
            nn.Sequential(nn.BatchNorm2d(4)),
            "'0' is BatchNorm2d, which does not follow a Conv2d or Linear directly; put it right behind one.",
        ),
        (
            nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)),
            "'1' is BatchNorm2d, which keeps no running statistics; use track_running_stats=True.",
        ),
        (
            nn.Sequential(nn.ConstantPad2d(1, -INFINITY), nn.Conv2d(4, 4, 3)),
            "'1' is Conv2d, which reads a map padded with -inf; only a max pool can.",
        ),
        (
            nn.Sequential(nn.ConstantPad2d(1, 0.5), nn.Conv2d(4, 4, 3)),
            "'0' is ConstantPad2d, which pads with 0.5; pad with zeros.",
        ),
        (
            nn.Sequential(nn.Conv2d(4, 4, 1), nn.AvgPool2d(3, 2, 1, ceil_mode=True)),
            "'1' is AvgPool2d, which has ceil_mode and divides by what its padding holds; use count_include_pad=False.",
        ),
        (
            nn.Sequential(nn.Conv2d(4, 4, 1), nn.AvgPool2d(2, divisor_override=3)),
            "'1' is AvgPool2d, which has a divisor_override; divide by the window's size, and scale what follows.",
        ),
        (
            nn.Sequential(nn.Conv2d(4, 4, 1), nn.AdaptiveAvgPool2d(5)),
            "'1' is AdaptiveAvgPool2d, which makes 5x5 of 6x8 with windows of several sizes; choose divisors.",
        ),
        (
            nn.Sequential(nn.Conv2d(4, 4, 1), nn.MaxPool2d(2, dilation=2)),
            "'1' is MaxPool2d, which has a dilation; use dilation 1 and a larger kernel.",
        ),
        (
            lambda net, x: torch.cat([x, x], dim=2),
            "'Net' is cat, which joins another axis than the channels; use dim=1.",
        ),
        (
            lambda net, x: x + x.mean((2, 3), keepdim=True),
            "'Net' is add, which adds maps of (4, 6, 8) and (4, 1, 1); make the shapes equal.",
        ),
        (
            lambda net, x: x * net.other(x),
            "'Net' is mul, which multiplies maps of (4, 6, 8) and (4, 6, 8); one must be (C, 1, 1).",
        ),
        (
            lambda net, x: x.view(2, 8, 6, 4),
            "'Net' is view, which reshapes (2, 4, 6, 8) to (2, 8, 6, 4); of all reshapes only flatten can be mapped.",
        ),
        (
            nn.Sequential(nn.Conv2d(4, 4, 1), nn.Linear(8, 8)),
            "'1' is Linear, which reads the last axis of a map (4, 6, 8); flatten it first.",
        ),
        (nn.Sequential(SHARED, SHARED), "'0' is Conv2d, which is called twice; give each place a layer of its own."),
        (Two(), "Two.forward takes a second input 'y'; wrap the model so that it takes one image tensor."),
        (Pair(), "Pair.forward returns tuple; wrap the model so that it returns one tensor."),
        (nn.Sequential(nn.Identity()), "Sequential.forward computes nothing; give it at least one layer."),
        (
            nn.Sequential(nn.Conv2d(4, 4, 1), nn.Sequential(ValueBranch())),
            "'1.0' (ValueBranch) cannot be traced: symbolically traced variables cannot be used as inputs to control "
            "flow; let forward take one image tensor and hold no branch or loop that depends on its values.",
        ),
        (
            nn.Sequential(nn.Conv2d(3, 4, 1)),
            "'0' (Conv2d) cannot be traced: Given groups=1, weight of size [4, 3, 1, 1], expected input[2, 4, 6, 8] to "
            "have 3 channels, but got 4 channels instead; let forward take one image tensor and hold no branch or loop "
            "that depends on its values.",
        ),
    ],
)
def test_refusals(model: nn.Module | Callable[[Net, Tensor], Tensor], words: str) -> None:
    with pytest.raises(UnsupportedLayer) as caught:
        plan_of(model)
    assert str(caught.value) == words


def test_tracing_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)).train()
    model[1].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trace(model, SHAPE)
    assert (model.training, model[0].training, model[1].training) == (True, True, False)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
