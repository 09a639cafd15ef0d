"""Post-training: ranges from images, weights' scales, and the bias that quantization shifted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from deepdive.errors import DeepDiveError
from deepdive.quantization.correct import Progress, correct
from deepdive.quantization.equalize import equalize
from deepdive.quantization.modules import QuantizedLayer
from deepdive.quantization.prepare import QuantizedModel, call_real
from deepdive.quantization.ranges import RangeMethod, RangeObserver

Correction = Literal["nothing", "bias", "rounding"]
BATCH = 8
LARGEST = 1e12
"""Of any feature map: larger values are no network's, and their squares would not fit float32."""


@dataclass(frozen=True)
class Calibration:
    """How a trained network is quantized without training.

    Parameters
    ----------
    ranges, output_ranges
        Of the feature maps, and of the network's output; None means every value seen for maps of 8 bits, and the
        least error for maps of fewer.
    search_weights
        Scales of least squared error instead of the largest weight; None does so below 8 bits.
    equalize
        Rescale channels between layers so that each uses more of the codes (Nagel 2019, section 4.1). It moves the
        clips of a network to what few images show, and costs more than it gains where weights are per channel.
    correct, correction_images
        What is adapted layer by layer on the first images: the biases (Nagel 2019, section 4.2, measured), or the
        rounding of the weights too (Nagel 2020).
    """

    ranges: RangeMethod | None = None
    output_ranges: RangeMethod = field(default_factory=lambda: RangeMethod("minmax"))
    search_weights: bool | None = None
    equalize: bool = False
    correct: Correction = "rounding"
    correction_images: int = 32


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
    if how.correct != "nothing":
        correct(model, images[: how.correction_images], how.correct == "rounding", progress)


def fit_ranges(model: QuantizedModel, images: Tensor, how: Calibration, progress: Progress | None) -> None:
    """Choose the range of every feature map from the float network's values."""
    # Layers that share a quantizer share what is seen.
    observers = {layer.output: RangeObserver() for layer in model}
    for number, see in enumerate((RangeObserver.see_extremes, RangeObserver.see_values), 1):
        for count, layer, x in real_maps(model, images):
            see(observers[layer.output], x)
            if progress and layer is model.layers[-1]:
                progress(f"ranges, pass {number} of 2: {count} of {len(images)} images")
        for layer in model:
            check_range(layer.name, observers[layer.output])
    *_, last = model
    for quantizer, observer in observers.items():
        method = how.ranges or RangeMethod("minmax" if quantizer.bits == 8 else "mse")
        if quantizer is last.output:
            method = how.output_ranges
        quantizer.set_range(*observer.choose(method, quantizer.bits))


def check_range(name: str, seen: RangeObserver) -> None:
    """Refuse values that no scale or covariance in float32 can hold."""
    if not seen.finite:
        raise DeepDiveError(f"'{name}' gives NaN or infinity on the images; check the weights and the images.")
    largest = max(-seen.low, seen.high)
    if largest > LARGEST:
        raise DeepDiveError(f"'{name}' gives values of {largest:.3g} on the images; check the weights and the images.")


def real_maps(model: QuantizedModel, images: Tensor) -> Iterator[tuple[int, QuantizedLayer, Tensor]]:
    """Every feature map of the float network, batch by batch, with the number of images done."""
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        for layer, x in model.steps(batch.permute(0, 3, 1, 2).float(), call_real):
            yield start + len(batch), layer, x
