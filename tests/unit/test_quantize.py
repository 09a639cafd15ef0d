"""Post-training quantization: the quantized module and the integer network agree in every code, and mean the same."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from deepdive.errors import CheckFailed, DeepDiveError, UnsupportedLayer
from deepdive.qnet import Conv, FeatureMap, Linear, QNet
from deepdive.quantization import (
    Bits,
    Calibration,
    Facts,
    QConfig,
    QuantizedModel,
    QuantizeOptions,
    RangeMethod,
    Synthetic,
    calibrate,
    lower,
    prepare,
    quantize,
    synthesize,
)
from deepdive.quantization.calibrate import Correction
from deepdive.quantization.equalize import equalize
from deepdive.quantization.ranges import Method
from deepdive.quantization.synthesize import mismatch
from quantized_networks import Shape, float_networks, mobilenet_like, random_images

MEAN, STD = (123.7, 116.25, 103.5), (58.4, 57.1, 57.4)
PLAIN = Shape(6, 2, 3, 1, True, False, "relu6", (10, 12), 3)


def calibrated(
    model: nn.Module, images: np.ndarray, qconfig: QConfig, how: Calibration | None = None
) -> QuantizedModel:
    quantized = prepare(model, qconfig, size=(images.shape[1], images.shape[2]), mean=MEAN, std=STD)
    calibrate(quantized, torch.from_numpy(images), how)
    return quantized


def float_output(model: nn.Module, images: np.ndarray) -> np.ndarray:
    x = torch.from_numpy(images).permute(0, 3, 1, 2).double()
    mean, std = (torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (MEAN, STD))
    with torch.no_grad():
        return copy.deepcopy(model).double()((x - mean) / std).numpy()


def real_output(net: QNet, images: np.ndarray) -> np.ndarray:
    codes = net.run(images)
    assert isinstance(codes, np.ndarray)
    return net.output.dequantize(codes)[:, 0, 0]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    shape=float_networks(),
    bits=st.tuples(st.integers(2, 8), st.integers(2, 8)),
    method=st.sampled_from(["minmax", "percentile", "mse"]),
    equalize=st.booleans(),
    correct=st.sampled_from(["nothing", "bias", "rounding"]),
)
def test_every_feature_map_equals_the_integer_network(
    shape: Shape, bits: tuple[int, int], method: Method, equalize: bool, correct: Correction
) -> None:
    """`lower` compares and refuses; here on images that calibration has not seen, and with our own eyes."""
    model = mobilenet_like(shape)
    how = Calibration(RangeMethod(method), equalize=equalize, correct=correct)
    quantized = calibrated(model, random_images(3, shape.size), QConfig(*bits), how)
    fresh = random_images(3, shape.size, seed=1)
    net = lower(quantized, torch.from_numpy(fresh))
    maps = net.run(fresh, every=True)
    assert isinstance(maps, dict)
    with torch.no_grad():
        codes = quantized.codes(torch.from_numpy(fresh))
    assert list(codes) == list(maps)
    for name, one in codes.items():
        values = one.values.double() + one.grid.zero_point[:, None, None]
        assert np.array_equal(values.permute(0, 2, 3, 1).numpy(), maps[name]), name
    output = quantized(torch.from_numpy(fresh)).detach().numpy()
    assert np.array_equal(output, real_output(net, fresh).astype(np.float32))


@pytest.mark.parametrize("activation", ["relu", "relu6", "hardswish", "silu"])
@pytest.mark.parametrize("squeeze", [False, True])
def test_eight_bits_stay_close_to_float(activation: str, squeeze: bool) -> None:
    shape = Shape(6, 3, 3, 1, True, squeeze, activation, (12, 12), 1)
    model, images = mobilenet_like(shape), random_images(16, (12, 12))
    net = quantize(model, images, mean=MEAN, std=STD)
    wanted, got = float_output(model, images), real_output(net, images)
    assert np.abs(got - wanted).max() < 0.05 * np.ptp(wanted)


def test_four_bits_are_worse_than_eight_but_not_lost() -> None:
    shape = Shape(6, 3, 3, 1, True, False, "relu6", (12, 12), 1)
    model, images = mobilenet_like(shape), random_images(16, (12, 12))
    wanted = float_output(model, images)
    errors = {}
    for weights, activations in ((8, 8), (4, 8), (4, 4)):
        net = quantize(model, images, weights, activations, mean=MEAN, std=STD)
        errors[weights, activations] = np.abs(real_output(net, images) - wanted).mean() / wanted.std()
        inner = [node for node in net.nodes if isinstance(node, Conv | Linear)][1:-1]
        assert all(node.weight_bits == weights for node in inner)
        assert all(node.output.bits == activations for node in net.nodes[:-1])
    assert errors[8, 8] < errors[4, 8] < errors[4, 4] < 1.0


@pytest.mark.parametrize("depthwise", [False, True])
def test_adaptive_rounding_beats_the_nearest_codes(depthwise: bool) -> None:
    """On images that it has not seen, too: inputs are correlated, so errors of neighbouring weights can cancel."""
    torch.manual_seed(0)
    middle = nn.Conv2d(8, 8, 3, groups=8) if depthwise else nn.Conv2d(8, 8, 3)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), middle, nn.ReLU(), nn.Conv2d(8, 4, 1))
    rows = np.arange(16)[:, None] * np.random.default_rng(0).uniform(2, 14, (24, 1, 1))
    smooth = (rows + np.random.default_rng(1).uniform(0, 30, (24, 16, 16)))[..., None].repeat(3, -1).astype(np.uint8)
    wanted = float_output(model, smooth[12:])
    errors = []
    for correct in ("bias", "rounding"):
        options = QuantizeOptions(calibration=Calibration(correct=correct))
        net = quantize(model, smooth[:12], 3, 8, mean=MEAN, std=STD, options=options)
        got = net.output.dequantize(net.run(smooth[12:])).transpose(0, 3, 1, 2)
        errors.append(np.square(got - wanted).mean())
    assert errors[1] < 0.5 * errors[0]


def test_equalisation_keeps_what_the_network_computes() -> None:
    shape = Shape(6, 3, 3, 1, True, False, "relu6", (12, 12), 1)
    model, images = mobilenet_like(shape), torch.from_numpy(random_images(8, (12, 12)))
    quantized = prepare(model, QConfig(), size=(12, 12), mean=MEAN, std=STD)
    for layer in quantized.convolutions():
        layer.fold()
    weights = [layer.weight.clone() for layer in quantized.convolutions()]
    with torch.no_grad():
        before = quantized.real(images)
        equalize(quantized, images)
        after = quantized.real(images)
    assert torch.allclose(before, after, atol=1e-5)
    assert any(not torch.equal(old, new.weight) for old, new in zip(weights, quantized.convolutions(), strict=True))


def test_mean_and_std_are_folded_into_the_first_convolution() -> None:
    """With weights that 8 bits hold exactly, an unpadded first layer is off by half an output step and no more."""
    conv = nn.Conv2d(3, 2, 3)
    std = (2.0, 4.0, 8.0)
    mean = (127.5, 100.25, 3.0)
    with torch.no_grad():
        codes = torch.randint(-100, 101, conv.weight.shape).float()
        codes.flatten(1)[:, 0] = 127
        conv.weight.copy_(codes * torch.tensor(std)[:, None, None] / 64)
    images = random_images(4, (5, 6))
    net = quantize(
        conv, images, mean=mean, std=std, options=QuantizeOptions(calibration=Calibration(correct="nothing"))
    )
    assert net.input == FeatureMap("input", (5, 6, 3), zero_point=(128, 100, 3))
    (node,) = net.nodes
    assert isinstance(node, Conv)
    assert np.array_equal(node.weight.transpose(0, 3, 1, 2), codes.numpy())
    x = torch.from_numpy(images).permute(0, 3, 1, 2).double()
    with torch.no_grad():
        wanted = conv.double()((x - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None])
    got = net.output.dequantize(net.run(images)).transpose(0, 3, 1, 2)
    assert np.abs(got - wanted.numpy()).max() < 0.51 * net.output.scale + 1 / 64


def test_the_first_convolution_pads_with_the_mean() -> None:
    """Real zero in the padding is the zero point: an image of the mean colour gives the bias everywhere."""
    conv = nn.Conv2d(3, 2, 3, padding=1)
    mean = (100.0, 50.0, 25.0)
    images = np.broadcast_to(np.array(mean, dtype=np.uint8), (2, 5, 5, 3)).copy()
    net = quantize(conv, images, mean=mean, std=(50.0, 50.0, 50.0))
    codes = net.run(images)
    assert (codes == codes[0, 0, 0]).all()
    assert np.abs(net.output.dequantize(codes)[0, 0, 0] - conv.bias.detach().numpy()).max() <= 0.51 * net.output.scale


@pytest.mark.parametrize("bias", [0.0, 0.3, -2.0, 1e6])
def test_dead_channels(bias: float) -> None:
    """A channel whose weights are all zero gives its bias; a channel next to it keeps its own."""
    model = mobilenet_like(PLAIN)
    with torch.no_grad():
        model[5].weight[3:5] = 0
        model[5].bias[3:5] = bias
    images = random_images(4, PLAIN.size)
    quantized = calibrated(model, images, QConfig(), Calibration())
    net = lower(quantized, torch.from_numpy(images))
    (node,) = [node for node in net.nodes if node.name == "5"]
    assert isinstance(node, Conv)
    real = net.maps["5"].dequantize(net.run(images, every=True)["5"])
    assert not node.weight[3:5].any()
    assert np.abs(real[..., 3:5] - min(max(bias, 0.0), 6.0)).max() <= net.maps["5"].scale


def test_constant_and_empty_activations() -> None:
    """Maps that are zero, or one value, everywhere."""
    model = mobilenet_like(PLAIN)
    with torch.no_grad():
        model[1].weight.zero_()
        model[2].weight.zero_()
        model[2].bias.fill_(-1.0)
    images = random_images(3, PLAIN.size)
    net = quantize(model, images, mean=MEAN, std=STD)
    maps = net.run(images, every=True)
    assert isinstance(maps, dict)
    assert not maps["1"].any()
    assert np.abs(real_output(net, images) - float_output(model, images)).max() < 0.05


@pytest.mark.parametrize("scale", [1e-10, 1e-8, 1e8, 1e18])
def test_weights_of_any_size(scale: float) -> None:
    """Tiny and huge weights lower, and the codes are still equal."""
    model = mobilenet_like(PLAIN)
    with torch.no_grad():
        model[5].weight.mul_(scale)
        model[10].weight.div_(scale)
    images = random_images(3, PLAIN.size)
    assert isinstance(quantize(model, images, 4, 4, mean=MEAN, std=STD), QNet)


def test_values_that_no_network_has() -> None:
    """Maps beyond what float32 can square are refused by the layer's name."""
    model = mobilenet_like(PLAIN)
    with torch.no_grad():
        model[10].weight.mul_(1e20)
    with pytest.raises(DeepDiveError, match="'10' gives values of"):
        quantize(model, random_images(3, PLAIN.size), 4, 4, mean=MEAN, std=STD)


def test_bits_by_name() -> None:
    qconfig = QConfig(4, 6, overrides={"4.body.0.*": Bits(2, 3), "4.body.*": Bits(5, 7)})
    net = quantize(mobilenet_like(PLAIN), random_images(2, PLAIN.size), options=QuantizeOptions(qconfig=qconfig))
    found = {n.name: (n.weight_bits, n.output.bits) for n in net.nodes if isinstance(n, Conv | Linear)}
    assert found == {
        "1": (8, 6),
        "4.body.0.0": (2, 3),
        "4.body.1": (5, 7),
        "4.body.5": (5, 7),
        "5": (4, 6),
        "10": (8, 8),
    }
    with pytest.raises(DeepDiveError) as caught:
        quantize(
            mobilenet_like(PLAIN),
            random_images(2, PLAIN.size),
            options=QuantizeOptions(qconfig=QConfig(overrides={"4.bdy.1": Bits()})),
        )
    assert str(caught.value) == (
        "No layer matches the pattern '4.bdy.1'; did you mean '4.body.1'? "
        "Known: 1, 10, 4.add, 4.body.0.0, 4.body.1, 4.body.5, 5, 7."
    )


def test_facts_reach_the_network_and_the_model_stays_as_it_was() -> None:
    model, images = mobilenet_like(PLAIN), random_images(2, PLAIN.size)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    lines: list[str] = []
    options = QuantizeOptions(facts=Facts("five", labels=tuple("abcde")), progress=lines.append)
    net = quantize(model, images, mean=MEAN, std=STD, options=options)
    assert (net.name, net.labels) == ("five", tuple("abcde"))
    assert "ranges, pass 2 of 2: 2 of 2 images" in lines
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_lower_refuses_a_module_that_computes_something_else() -> None:
    images = random_images(2, PLAIN.size)
    quantized = calibrated(mobilenet_like(PLAIN), images, QConfig())
    wrong = quantized.convolutions()[2]
    honest = wrong.forward

    def forward(*inputs):  # type: ignore[no-untyped-def]
        codes = honest(*inputs)
        values = codes.values.clone()
        values[1, 2, 3, 4] += 1 if values[1, 2, 3, 4] < 100 else -1
        return codes._replace(values=values)

    wrong.forward = forward
    with pytest.raises(
        CheckFailed, match=r"^'4.body.1' differs at \(1, 3, 4, 2\): the quantized module gives \d+, the "
    ):
        lower(quantized, torch.from_numpy(images))


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        z = y.clone()
        z.relu_()
        return y.relu_() + z + y


IMAGES = random_images(2, (6, 6))
CONV = nn.Conv2d(3, 4, 3)


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda: QConfig(weights=9), DeepDiveError, "Weights cannot have 9 bits; choose 2 to 8."),
        (lambda: QConfig(activations=1), DeepDiveError, "Activations cannot have 1 bits; choose 2 to 8."),
        (
            lambda: RangeMethod("best"),  # type: ignore[arg-type]
            DeepDiveError,
            "Range method 'best' is unknown; use minmax, percentile, mse.",
        ),
        (lambda: RangeMethod(percentile=101.0), DeepDiveError, "Percentile 101.0 is outside 50..100."),
        (
            lambda: quantize(CONV, IMAGES, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
            DeepDiveError,
            "mean (0.485, 0.456, 0.406) and std (0.229, 0.224, 0.225) are not in pixels 0..255; "
            "multiply values for 0..1 by 255.",
        ),
        (
            lambda: quantize(CONV, IMAGES, mean=(1.0,), std=(1.0, 2.0)),
            DeepDiveError,
            "mean has 1 values and std 2; give one of each a channel.",
        ),
        (
            lambda: quantize(CONV, IMAGES.astype(np.float32)),
            DeepDiveError,
            "Images are float32(2, 6, 6, 3); want uint8 (batch, height, width, channels).",
        ),
        (
            lambda: quantize(CONV, IMAGES[..., :2]),
            DeepDiveError,
            "Images are uint8(2, 6, 6, 2); the network wants uint8(batch, 6, 6, 3), raw pixels.",
        ),
        (
            lambda: quantize(CONV, IMAGES[:0]),
            DeepDiveError,
            "There are no images to calibrate with; give at least one.",
        ),
        (
            lambda: quantize(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 4, 1)), IMAGES),
            UnsupportedLayer,
            "'0' reads the raw pixels; only a Conv2d or Linear can, put one before it.",
        ),
    ],
)
def test_refusals(act, error: type[DeepDiveError], words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error) as caught:
        act()
    assert str(caught.value) == words


def test_weights_that_are_not_finite_are_named() -> None:
    model = mobilenet_like(PLAIN)
    with torch.no_grad():
        model[5].weight[0, 0] = float("nan")
    with pytest.raises(DeepDiveError) as caught:
        quantize(model, random_images(2, PLAIN.size))
    assert str(caught.value) == "'5.weight' holds NaN or infinity; load or train finite weights."


def test_a_network_that_changes_maps_in_place_behind_our_back_is_refused() -> None:
    with pytest.raises(CheckFailed, match=r"^Noisy as DeepDive reads it differs from its own forward by "):
        quantize(Noisy(), IMAGES)


def test_without_images_batch_norm_says_what_they_were_like() -> None:
    """Of a network that saw dark images only, made-up images fill the maps as those did, which noise does not."""
    torch.manual_seed(0)
    model = mobilenet_like(PLAIN)
    dark = torch.from_numpy(random_images(64, (10, 12)) // 4)
    mean, std = (torch.tensor(values) for values in (MEAN, STD))
    model.train()
    with torch.no_grad():
        for _ in range(40):
            model(((dark.float() - mean) / std).permute(0, 3, 1, 2))
    quantized = prepare(model.eval(), QConfig(), size=(10, 12), mean=MEAN, std=STD)
    made = synthesize(quantized, Synthetic(images=8, steps=80))
    again = synthesize(quantized, Synthetic(images=8, steps=80))
    assert made.dtype == torch.uint8
    assert made.shape == (8, 10, 12, 3)
    assert torch.equal(made, again)

    def away(images: torch.Tensor) -> float:
        return float(mismatch(quantized, images.permute(0, 3, 1, 2).float()).detach())

    noise = away(torch.from_numpy(random_images(8, (10, 12))))
    assert away(dark) < 0.2 * noise
    assert away(made) < 0.2 * noise
    wanted = float_output(model, dark.numpy())
    errors = []
    for images in (made.numpy(), random_images(8, (10, 12))):
        net = quantize(model, images, 8, 4, mean=MEAN, std=STD)
        errors.append(np.square(real_output(net, dark.numpy()) - wanted).mean())
    assert errors[0] < 0.5 * errors[1]


def test_a_network_is_quantized_without_images() -> None:
    model = mobilenet_like(PLAIN)
    options = QuantizeOptions(size=(10, 12), synthetic=Synthetic(images=4, steps=10))
    net = quantize(model, None, 4, 8, mean=MEAN, std=STD, options=options)
    assert net.input.shape == (10, 12, 3)
    with pytest.raises(DeepDiveError, match="There are no images; say by QuantizeOptions"):
        quantize(model, None)
    bare = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    with pytest.raises(DeepDiveError, match="The network has no batch norm, whose statistics could stand in"):
        quantize(bare, None, options=options)
    with pytest.raises(DeepDiveError, match="Cannot make up 1 images in 60 steps"):
        Synthetic(images=1)
