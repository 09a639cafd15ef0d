"""Post-training: ranges from images, weights' scales, and the bias that quantization shifted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from deepdive.errors import DeepDiveError
from deepdive.quantization.equalize import equalize
from deepdive.quantization.grid import Codes
from deepdive.quantization.modules import QuantizedConv, QuantizedLayer
from deepdive.quantization.prepare import QuantizedModel, call_real
from deepdive.quantization.ranges import RangeMethod, RangeObserver

Progress = Callable[[str], None]

BATCH = 8


@dataclass(frozen=True)
class Calibration:
    """How a trained network is quantized without training.

    Parameters
    ----------
    ranges, output_ranges
        Of the feature maps, and of the network's output.
    search_weights
        Scales of least squared error instead of the largest weight; None does so below 8 bits.
    equalize
        Rescale channels between layers so that each uses more of the codes (Nagel 2019, section 4.1).
    bias_images
        Images to correct the biases with (Nagel 2019, section 4.2, measured); 0 leaves them alone.
    """

    ranges: RangeMethod = field(default_factory=RangeMethod)
    output_ranges: RangeMethod = field(default_factory=lambda: RangeMethod("minmax"))
    search_weights: bool | None = None
    equalize: bool = True
    bias_images: int = 32


@torch.no_grad()
def calibrate(
    model: QuantizedModel, images: Tensor, how: Calibration | None = None, progress: Progress | None = None
) -> None:
    """Set every scale of `model` from images, uint8 (N, H, W, C); batch norm is folded for good.

    Raises
    ------
    DeepDiveError
        When there is no image, or the images are not the network's.
    """
    how = how or Calibration()
    model.check_images(images)
    if not len(images):
        raise DeepDiveError("There are no images to calibrate with; give at least one.")
    model.eval()
    for layer in model.convolutions():
        layer.fold()
    if how.equalize:
        equalize(model, images)
    fit_ranges(model, images, how, progress)
    for layer in model.convolutions():
        search = layer.weights.bits < 8 if how.search_weights is None else how.search_weights
        layer.weights.fit(layer.effective_weight(), search=search)
    if how.bias_images:
        correct_bias(model, images[: how.bias_images], progress)


def fit_ranges(model: QuantizedModel, images: Tensor, how: Calibration, progress: Progress | None) -> None:
    """Choose the range of every feature map from the float network's values."""
    observers = {layer.name: RangeObserver() for layer in model}
    for number, see in enumerate((RangeObserver.see_extremes, RangeObserver.see_values), 1):
        for count, layer, x in real_maps(model, images):
            see(observers[layer.name], x)
            if progress and layer is model.layers[-1]:
                progress(f"ranges, pass {number} of 2: {count} of {len(images)} images")
    for layer in model:
        method = how.output_ranges if layer is model.layers[-1] else how.ranges
        layer.output.set_range(*observers[layer.name].choose(method, layer.output.bits))


def real_maps(model: QuantizedModel, images: Tensor) -> Iterator[tuple[int, QuantizedLayer, Tensor]]:
    """Every feature map of the float network, batch by batch, with the number of images done."""
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        for layer, x in model.steps(batch.permute(0, 3, 1, 2).float(), call_real):
            yield start + len(batch), layer, x


def correct_bias(model: QuantizedModel, images: Tensor, progress: Progress | None) -> None:
    """Shift each bias by the mean error of its channel, layer after layer, each on already corrected inputs."""

    def compute(layer: QuantizedLayer, inputs: list[tuple[Tensor, Codes]]) -> tuple[Tensor, Codes]:
        real = layer.real_sum(inputs[0][0]) if isinstance(layer, QuantizedConv) else None
        codes = [pair[1] for pair in inputs]
        if isinstance(layer, QuantizedConv) and real is not None:
            integers = layer.integers(codes[0].grid)
            got = layer.accumulate(codes[0], integers) * integers.scale[:, None, None]
            layer.bias.add_((real - got).mean((0, 2, 3)).to(layer.bias.dtype))
        if progress:
            progress(f"bias of '{layer.name}'")
        real_output = layer.clip(real) if real is not None else layer.real(*(pair[0] for pair in inputs))
        return real_output, layer(*codes)

    start = (images.permute(0, 3, 1, 2).float(), model.input_codes(images))
    for _ in model.steps(start, compute):
        pass
