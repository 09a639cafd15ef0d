"""Networks that train quantized: whatever happened while training, evaluation computes the integer network's codes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepdive.errors import DeepDiveError
from deepdive.qnet import Conv, Linear, QNet
from deepdive.quantization import Bits, QConfig, QuantizedModel, calibrate, lower, prepare
from deepdive.quantization.grid import Grid
from deepdive.quantization.quantizers import ActivationQuantizer, Learning
from deepdive.quantization.simulate import BLOCK, Simulated, Steps, round_map, round_weight
from deepdive.training import Batch, Damp, FreezeBatchNorm, LowerBits
from deepdive.training.finite import where_it_broke
from quantized_networks import Shape, mobilenet_like, random_images

MEAN, STD = (123.7, 116.25, 103.5), (58.4, 57.1, 57.4)
SIZE = (10, 12)
PLAIN = Shape(6, 2, 3, 1, True, False, "relu6", SIZE, 3)
IMAGES = torch.from_numpy(random_images(16, SIZE))
LABELS = torch.arange(16) % 5
NO_BATCH = Batch(IMAGES, LABELS, LABELS, 1.0)


def prepared(qconfig: QConfig, shape: Shape = PLAIN) -> QuantizedModel:
    return prepare(mobilenet_like(shape), qconfig, size=shape.size, mean=MEAN, std=STD)


def freeze(model: QuantizedModel) -> None:
    FreezeBatchNorm(0).before_epoch(model, 0, 1)


def descend(model: QuantizedModel, steps: int = 3, rate: float = 0.05, frozen: bool = False) -> list[float]:
    """Train on one batch; the losses."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], rate, momentum=0.9)
    losses = []
    model.train()
    if frozen:
        freeze(model)
    for _ in range(steps):
        loss = F.cross_entropy(model(IMAGES), LABELS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def assert_equal_everywhere(model: QuantizedModel) -> QNet:
    """Every element of every layer, on images that nobody has seen, with our own eyes."""
    fresh = random_images(5, model.input_shape[1:], seed=9)
    net = lower(model, torch.from_numpy(fresh))
    maps = net.run(fresh, every=True)
    assert isinstance(maps, dict)
    model.eval()
    codes = model.codes(torch.from_numpy(fresh))
    assert list(codes) == list(maps)
    for name, one in codes.items():
        values = one.values.double() + one.grid.zero_point[:, None, None]
        assert np.array_equal(values.permute(0, 2, 3, 1).numpy(force=True), maps[name]), name
    output = net.output.dequantize(maps[net.output.name])[:, 0, 0]
    assert np.array_equal(model(torch.from_numpy(fresh)).numpy(), output.astype(np.float32))
    return net


@pytest.mark.parametrize("learning", ["lsq", "ema"])
@pytest.mark.parametrize("frozen", [False, True], ids=["batch", "frozen"])
@pytest.mark.parametrize("bits", [(2, 2), (3, 5), (4, 4), (4, 8), (7, 3), (8, 8)], ids=lambda b: f"w{b[0]}a{b[1]}")
def test_evaluation_equals_the_integer_network(bits: tuple[int, int], frozen: bool, learning: Learning) -> None:
    model = prepared(QConfig(*bits, learning=learning))
    descend(model)
    descend(model, frozen=frozen)
    net = assert_equal_everywhere(model)
    inner = [node for node in net.nodes if isinstance(node, Conv | Linear)][1:-1]
    assert {node.weight_bits for node in inner} == {bits[0]}
    assert {node.output.bits for node in net.nodes[:-1]} == {bits[1]}


@pytest.mark.parametrize("activation", ["relu", "relu6", "hardswish", "silu", "none"])
@pytest.mark.parametrize("squeeze", [False, True], ids=["", "squeeze"])
@pytest.mark.parametrize("residual", [False, True], ids=["", "residual"])
def test_evaluation_equals_the_integer_network_for_every_block(activation: str, squeeze: bool, residual: bool) -> None:
    shape = Shape(6, 3, 5, 2, residual, squeeze, activation, SIZE, 5)
    model = prepared(QConfig(4, 5), shape)
    descend(model)
    descend(model, frozen=True)
    assert_equal_everywhere(model)


def test_bits_of_single_layers_train() -> None:
    model = prepared(QConfig(4, 4, overrides={"4.body.*": Bits(3, 6)}))
    descend(model)
    net = assert_equal_everywhere(model)
    chosen = [node for node in net.nodes if node.output.name.startswith("4.body")]
    assert chosen
    assert {node.output.bits for node in chosen} == {6}
    assert {node.weight_bits for node in chosen if isinstance(node, Conv)} == {3}


class Joined(nn.Module):
    """Layers that pass codes on: max pooling, concatenation."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Sequential(nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2))
        self.second = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False), nn.BatchNorm2d(6), nn.ReLU())
        self.last = nn.Sequential(nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.last(torch.cat([x, self.second(x)], 1))


def test_layers_that_pass_codes_on_train() -> None:
    model = prepare(Joined(), QConfig(4, 4), size=SIZE, mean=MEAN, std=STD)
    losses = descend(model, 20)
    assert losses[-1] < losses[0]
    descend(model, frozen=True)
    assert_equal_everywhere(model)


@pytest.mark.parametrize("bits", [(8, 8), (4, 4)], ids=str)
@pytest.mark.parametrize("activation", ["relu6", "hardswish"])
def test_with_batch_norm_frozen_training_sees_the_codes_themselves(activation: str, bits: tuple[int, int]) -> None:
    """In float32, so a sum that lies on the border of two codes may fall to the other side."""
    model = prepared(QConfig(*bits), dataclasses.replace(PLAIN, activation=activation, squeeze=True))
    descend(model)
    model.train()
    freeze(model)
    exact = model.codes(IMAGES)
    with torch.no_grad():
        for layer, seen in model.steps(Simulated(*model.input_codes(IMAGES)), lambda one, x: one.simulate(*x)):
            codes = torch.round(seen.values / layer.output.grid.scale) - exact[layer.name].values
            assert codes.abs().max() <= 1
            assert (codes != 0).double().mean() < 0.01


def test_training_lowers_the_loss_and_moves_every_parameter() -> None:
    model = prepared(QConfig(4, 4))
    model.train()
    model(IMAGES)
    before = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    losses = descend(model, 40)
    assert losses[-1] < 0.9 * losses[0]
    still = [name for name, p in model.named_parameters() if p.requires_grad and torch.equal(p, before[name])]
    assert still == []
    assert any(name.endswith("output.scale") for name in before)
    assert any(name.endswith("weights.scale") for name in before)


def test_tracked_scales_follow_the_maps_and_are_no_parameters_to_learn() -> None:
    model = prepared(QConfig(4, 8, learning="ema"))
    assert not any(p.requires_grad for name, p in model.named_parameters() if name.endswith("scale"))
    model.train()
    model(IMAGES)
    stem = model.convolutions()[0]
    assert stem.output.tracked is not None
    first, high = stem.output.scale.item(), stem.output.tracked[1].item()
    assert first == pytest.approx(high / 255)
    with torch.no_grad():
        assert stem.norm is not None
        stem.norm.bias.add_(1.0)
        stem.weight.mul_(2.0)
    for _ in range(30):
        model(IMAGES)
    assert first < stem.output.scale.item() <= 6 / 255 + 1e-6  # ReLU6 ends at 6
    largest = stem.effective_weight().detach().flatten(1).abs().amax(1)
    torch.testing.assert_close(stem.weights.scale.detach(), largest / stem.weights.q_max)


def test_scales_come_from_the_first_batch_and_never_again() -> None:
    model = prepared(QConfig(4, 4))
    with pytest.raises(DeepDiveError, match=r"^'1' has no scales yet; calibrate or train the network first\.$"):
        lower(model, IMAGES[:2])
    model.train()
    model(IMAGES)
    scales = [layer.output.scale.item() for layer in model]
    assert 1.0 not in scales
    model(IMAGES // 2)
    assert [layer.output.scale.item() for layer in model] == scales


def test_a_calibrated_network_trains_on_from_its_scales() -> None:
    model = prepared(QConfig(4, 4))
    calibrate(model, IMAGES)
    scales = [layer.output.scale.item() for layer in model]
    model.train()
    model(IMAGES)
    assert [layer.output.scale.item() for layer in model] == scales
    losses = descend(model, 20)
    assert losses[-1] < losses[0]
    assert_equal_everywhere(model)


def test_folding_keeps_every_code() -> None:
    model = prepared(QConfig(4, 5))
    with torch.no_grad():
        for layer in model.convolutions():
            if layer.norm is not None:
                layer.norm.weight[0].neg_()  # a gain may be negative
    descend(model)
    model.eval()
    before = model.codes(IMAGES)
    for layer in model.convolutions():
        layer.fold()
    after = model.codes(IMAGES)
    for name, codes in before.items():
        assert torch.equal(codes.values, after[name].values), name


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("limits", [(0, 15), (-7, 8), (0, 255)])
def test_a_map_is_rounded_with_the_gradients_of_the_paper(layout: torch.memory_format, limits: tuple[int, int]) -> None:
    """Value, gradient of the map, and of the step: inside `round(v) - v`, outside the limit."""
    generator = torch.Generator().manual_seed(0)
    x = (torch.randn(3, 8, 40, 300, generator=generator) * 2).to(memory_format=layout).requires_grad_()
    assert x.numel() > BLOCK
    step = torch.tensor(0.21, requires_grad=True)
    gradient = torch.randn(x.shape, generator=generator)
    how = Steps(*limits, 0.25)
    y = round_map(x, step, how)
    y.backward(gradient)
    scaled = x.detach().double() / step.item()
    inside = (scaled > limits[0]) & (scaled < limits[1])
    wanted = torch.round(scaled).clamp(*limits)
    assert (y.detach().double() / step.item() - wanted).abs().max() < 1e-3
    assert x.grad is not None
    assert torch.equal(x.grad, gradient * inside)
    slope = torch.where(inside, wanted - scaled, wanted)
    assert step.grad is not None
    assert step.grad.item() == pytest.approx(float((gradient.double() * slope).sum() * 0.25), rel=1e-3, abs=0.05)
    assert y.is_contiguous(memory_format=layout)


def test_a_weight_is_rounded_with_the_gradients_of_the_paper() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(4, 3, 3, 3, generator=generator).requires_grad_()
    step = torch.tensor([0.1, 0.2, 0.4, 0.8]).reshape(4, 1, 1, 1).requires_grad_()
    scaled = weight.detach() / step.detach()
    codes = torch.round(scaled).clamp(-4, 3)
    gradient = torch.randn(weight.shape, generator=generator)
    exact = step.detach() * 1.01
    y = round_weight(weight, step, codes, Steps(-4, 3, 0.5), exact)
    assert torch.equal(y, codes * exact)
    y.backward(gradient)
    inside = (scaled > -4) & (scaled < 3)
    assert weight.grad is not None
    assert step.grad is not None
    assert torch.equal(weight.grad, gradient * inside)
    slope = (gradient * torch.where(inside, codes - scaled, codes)).sum((1, 2, 3)) * 0.5
    torch.testing.assert_close(step.grad.flatten(), slope)


def test_a_learned_step_finds_a_better_one() -> None:
    """Gradient descent on the squared error alone brings a bad step near to the best."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 4, 32, 32, generator=generator).relu()
    quantizer = ActivationQuantizer(4)
    quantizer.set_range(0.0, 12.0)

    def error() -> Tensor:
        return (quantizer(x, 0, 15) - x).square().sum()

    before = error().item()
    optimizer = torch.optim.SGD(quantizer.parameters(), 0.02)
    for _ in range(100):
        optimizer.zero_grad()
        error().backward()
        optimizer.step()
    assert error().item() < 0.3 * before


def test_bits_are_lowered_in_steps_and_scales_chosen_anew() -> None:
    model = prepared(QConfig(4, 5))
    hook = LowerBits(model, 8, 0.5)
    inner = model.convolutions()[1]
    seen = []
    for epoch in range(10):
        model.train()
        hook.before_epoch(model, epoch, 10)
        seen.append((inner.weights.bits, inner.output.bits, model.convolutions()[0].weights.bits))
        descend(model, 1)
        assert (int(inner.weights.fitted), int(inner.output.fitted)) == seen[-1][:2]
        assert_equal_everywhere(model)
    assert seen == [(8, 8, 8), (8, 8, 8), (7, 7, 8), (6, 7, 8), (5, 6, 8), *[(4, 5, 8)] * 5]


def test_lowered_bits_follow_from_the_epoch_alone() -> None:
    """So that a resumed training goes on with the bits that it had."""
    one, other = prepared(QConfig(3, 3)), prepared(QConfig(3, 3))
    hooks = LowerBits(one, 6, 0.9), LowerBits(other, 6, 0.9)
    for epoch in range(8):
        hooks[0].before_epoch(one, epoch, 10)
    hooks[1].before_epoch(other, 7, 10)
    assert [layer.output.bits for layer in one] == [layer.output.bits for layer in other]
    assert {layer.output.bits for layer in list(one)[:-1]} == {4}


def test_damping_pulls_weights_to_the_middle_of_their_codes() -> None:
    model = prepared(QConfig(4, 8))
    descend(model)
    hook = Damp(1.0)
    logits = torch.zeros(16, 5)
    hook.before_epoch(model, 0, 5)
    assert hook.extra_loss(NO_BATCH, logits) is None
    hook.before_epoch(model, 4, 5)
    layer = model.convolutions()[1]
    codes = layer.weights(layer.effective_weight(), layer.weights.scale.detach().double())
    before = [one.oscillation().item() for one in model.convolutions()]
    optimizer = torch.optim.SGD([one.weight for one in model.convolutions()], 0.1)
    for _ in range(20):
        optimizer.zero_grad()
        loss = hook.extra_loss(NO_BATCH, logits)
        assert loss is not None
        loss.backward()
        optimizer.step()
    after = [one.oscillation().item() for one in model.convolutions()]
    assert sum(after[1:]) < 0.01 * sum(before[1:])
    assert torch.equal(layer.weights(layer.effective_weight(), layer.weights.scale.detach().double()), codes)
    model.train()
    assert_equal_everywhere(model)


@pytest.mark.parametrize("training", [False, True])
def test_the_layer_that_broke_is_called_as_in_the_float_network(training: bool) -> None:
    model = prepared(QConfig(4, 4))
    descend(model)
    model.train(training)
    broken = model.convolutions()[2]
    broken.weight.data[0, 0, 0, 0] = float("nan")
    assert where_it_broke(model, IMAGES) == f"first in layer '{broken.name}'"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: QConfig(9, 8), "Weights cannot have 9 bits; choose 2 to 8."),
        (lambda: QConfig(8, 1), "Activations cannot have 1 bits; choose 2 to 8."),
        (lambda: QConfig(learning="adam"), "Scales cannot follow training by 'adam'; choose lsq or ema."),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_configuration_is_refused(make: object, words: str) -> None:
    assert callable(make)
    with pytest.raises(DeepDiveError) as caught:
        make()
    assert str(caught.value) == words


def test_grids_have_no_gradient() -> None:
    model = prepared(QConfig(4, 4))
    descend(model)
    grid: Grid = model.convolutions()[0].output.grid
    assert not grid.scale.requires_grad
