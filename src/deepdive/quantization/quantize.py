"""The one call for networks that are trained already: calibrate, then lower."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from deepdive.errors import DeepDiveError
from deepdive.qnet.graph import QNet
from deepdive.quantization.calibrate import Calibration, calibrate
from deepdive.quantization.correct import Progress
from deepdive.quantization.lower import Facts, lower
from deepdive.quantization.prepare import prepare
from deepdive.quantization.qconfig import QConfig
from deepdive.quantization.synthesize import Synthetic, synthesize

CHECKED_IMAGES = 2


@dataclass(frozen=True)
class QuantizeOptions:
    """What `quantize` may be told beyond the bit widths.

    Parameters
    ----------
    qconfig
        Bit widths layer by layer; takes the place of `weights` and `activations`.
    calibration
        Ranges and corrections.
    size
        (height, width) of the input; must be given where there are no images.
    synthetic
        How images are made up where there are none.
    facts
        The network's name, preprocessing and labels.
    progress
        Called with one line on what is being done.
    """

    qconfig: QConfig | None = None
    calibration: Calibration = field(default_factory=Calibration)
    size: tuple[int, int] | None = None
    synthetic: Synthetic = field(default_factory=Synthetic)
    facts: Facts = field(default_factory=Facts)
    progress: Progress | None = None


def quantize(
    model: nn.Module,
    images: np.ndarray | None,
    weights: int = 8,
    activations: int = 8,
    *,
    mean: tuple[float, ...] = (0.0, 0.0, 0.0),
    std: tuple[float, ...] = (1.0, 1.0, 1.0),
    options: QuantizeOptions | None = None,
) -> QNet:
    """Quantize a trained network without training it.

    Parameters
    ----------
    model
        A float network whose input is ``(pixel - mean) / std``, (N, C, H, W); it is not changed.
    images
        Raw pixels, uint8 (N, H, W, C), of the kind that the network will see; labels are not needed. None makes up
        images from the statistics of batch norm.
    weights, activations
        Bits, 2..8; the first and last layer's weights and the output keep 8.
    mean, std
        In units of pixels 0..255, one a channel.

    Returns
    -------
    The integer network, equal bit for bit to the quantized module on the first images.

    Raises
    ------
    UnsupportedLayer, DeepDiveError, CheckFailed
        As `prepare`, `calibrate` and `lower` say.
    """
    options = options or QuantizeOptions()
    qconfig = options.qconfig or QConfig(weights, activations)
    quantized = prepare(model, qconfig, size=input_size(images, options.size), mean=mean, std=std)
    if images is None:
        batch = synthesize(quantized, options.synthetic, options.progress)
    else:
        batch = torch.from_numpy(np.ascontiguousarray(images))
    calibrate(quantized, batch, options.calibration, options.progress)
    return lower(quantized, batch[:CHECKED_IMAGES], options.facts)


def input_size(images: np.ndarray | None, size: tuple[int, int] | None) -> tuple[int, int]:
    """(height, width) of the images, or without images the given one; refuses what is no batch of raw pixels."""
    if images is None:
        if size is None:
            raise DeepDiveError("There are no images; say by QuantizeOptions(size=(height, width)) what the input is.")
        return size
    if images.ndim != 4 or images.dtype != np.uint8:
        raise DeepDiveError(f"Images are {images.dtype}{images.shape}; want uint8 (batch, height, width, channels).")
    return images.shape[1], images.shape[2]
