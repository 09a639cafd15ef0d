"""A float ONNX file to an integer network: through the quantizer of PyTorch modules."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from deepdive.errors import CheckFailed, DeepDiveError
from deepdive.qnet.classify import logits_of
from deepdive.qnet.graph import QNet
from deepdive.qnet.importers.imported import Imported
from deepdive.qnet.importers.measure import source_outputs
from deepdive.qnet.importers.onnx_source import Source, parse_source, without_softmax
from deepdive.qnet.importers.photographs import Photographs
from deepdive.qnet.onnx_file import printable, read_bytes
from deepdive.qnet.preprocess import Preprocess, read_images
from deepdive.quantization.correct import Progress
from deepdive.quantization.from_onnx.convert import FloatNetwork, convert
from deepdive.quantization.lower import Facts
from deepdive.quantization.quantize import QuantizeOptions, quantize

MAX_PIXELS = 1 << 31
"""Of all pictures together."""
COMPARED = 32
"""Pictures on which the integer network's answers are compared with ONNX Runtime's."""
TOLERANCE = 1e-3
"""Of float sums in another order, as a share of the largest output."""


@dataclass(frozen=True)
class Options:
    """How a float file is quantized.

    Parameters
    ----------
    photographs
        What the network saw in training, and pictures to choose ranges with.
    weights, activations
        Bits, 2..8.
    labels
        Names of the classes.
    progress
        Called with one line on what is being done.
    """

    photographs: Photographs
    weights: int = 8
    activations: int = 8
    labels: tuple[str, ...] = ()
    progress: Progress | None = None


def read_float(path: str | Path) -> FloatNetwork:
    """The float network of an ONNX file.

    Raises
    ------
    DeepDiveError
        Naming the file, the node and the reason.
    """
    try:
        return convert(without_softmax(parse(Path(path))))
    except DeepDiveError as error:
        raise type(error)(printable(f"Cannot import '{path}': {str(error).rstrip('.')}.")) from None


def parse(path: Path) -> Source:
    """The graph of a file, checked; errors leave out the file."""
    try:
        return parse_source(read_bytes(path))
    except DecodeError:
        raise DeepDiveError("it is no ONNX model, or cut short or damaged") from None


def import_float(path: str | Path, options: Options) -> Imported:
    """Quantize a float ONNX file.

    Raises
    ------
    DeepDiveError
        Naming the file, the node and the reason.
    """
    try:
        with np.errstate(all="ignore"):
            return quantize_source(parse(Path(path)), options)
    except DeepDiveError as error:
        raise type(error)(printable(f"Cannot import '{path}': {str(error).rstrip('.')}.")) from None


def quantize_source(whole: Source, options: Options) -> Imported:
    """The same of a graph; errors leave out the file."""
    source, photographs = without_softmax(whole), options.photographs
    if len(source.dims) != 3 or source.dims[0] != 3 or source.batch not in (None, 1):
        raise DeepDiveError(f"its input {source.dims} is no RGB picture with a batch that is free or one")
    if not photographs.pictures:
        raise DeepDiveError("there are no pictures to choose ranges with; name a folder of some")
    network = convert(source)
    channels, height, width = source.dims
    if channels * height * width * len(photographs.pictures) > MAX_PIXELS:
        raise DeepDiveError(f"{len(photographs.pictures)} pictures of {height}x{width} take too much memory; use fewer")
    preprocess = Preprocess((height, width), photographs.resize_short, photographs.interpolation)
    mean, std = pixel_statistics(network, photographs)
    images = read_images(list(photographs.pictures), preprocess)
    compared = images[:COMPARED]
    theirs = runtime_outputs(source, photographs, compared)
    check_module(network, photographs, compared[:2], theirs)
    facts = Facts(source.name, preprocess, options.labels)
    settings = QuantizeOptions(facts=facts, progress=options.progress)
    net = quantize(network.module, images, options.weights, options.activations, mean=mean, std=std, options=settings)
    notes = [
        f"Quantized to W{options.weights}A{options.activations} by the quantizer of PyTorch modules, with ranges from "
        f"{len(images)} pictures; every feature map of the quantized module equals the integer network's."
    ]
    if source is not whole:
        notes.append("The softmax at the end is left out: the largest output stays the largest.")
    return Imported(net, "float ONNX", (*notes, *agreement(net, compared, theirs)))


def pixel_statistics(network: FloatNetwork, photographs: Photographs) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std in units of pixels 0..255, with what the graph does to its input first.

    ``gain * (pixel / 255 - mean) / std + offset`` is ``(pixel - mean') / std'``.
    """
    std = np.array(photographs.std) / np.broadcast_to(network.gain, 3)
    mean = np.array(photographs.mean) - network.offset * std
    std, mean = 255 * std, 255 * mean
    # What was written in decimals may miss 0 and 1 by a rounding.
    mean, std = np.where(np.abs(mean) < 1e-3, 0, mean), np.where(np.abs(std - 1) < 1e-3, np.maximum(std, 1), std)
    if not (np.isfinite([mean, std]).all() and std.min() >= 1 and mean.min() >= 0 and mean.max() <= 255):
        raise DeepDiveError(
            f"in pixels 0..255 it wants mean {shown(mean)} and std {shown(std)}, which are not within 0..255 and at "
            "least 1; check mean and std (for a network that takes pixels 0..255 they are 0 and 0.00392157)"
        )
    return tuple(float(one) for one in mean), tuple(float(one) for one in std)


def shown(numbers: np.ndarray) -> str:
    """Three numbers for a sentence."""
    return ", ".join(f"{one:.4g}" for one in np.broadcast_to(numbers, 3))


def runtime_outputs(source: Source, photographs: Photographs, images: np.ndarray) -> np.ndarray:
    """What ONNX Runtime gives for pictures uint8 (N, H, W, 3): (N, ...)."""
    found = []
    for image in images:
        reals = np.ascontiguousarray(photographs.reals(image[None]).transpose(0, 3, 1, 2))
        found.append(source_outputs(source, {}, reals, [source.output])[0])
    outputs = np.concatenate(found)
    if not np.isfinite(outputs).all():
        raise DeepDiveError("it gives NaN or infinity on the pictures; check its weights, the mean and the std")
    return outputs


@torch.no_grad()
def check_module(network: FloatNetwork, photographs: Photographs, images: np.ndarray, theirs: np.ndarray) -> None:
    """The module must compute what ONNX Runtime computes, on the first pictures."""
    gain, offset = (np.broadcast_to(part, 3).astype(np.float32) for part in (network.gain, network.offset))
    reals = photographs.reals(images) * gain + offset
    mine = network.module(torch.from_numpy(np.ascontiguousarray(reals.transpose(0, 3, 1, 2)))).numpy()
    wanted = theirs[: len(images)]
    if mine.size != wanted.size:
        raise CheckFailed(f"read as a module it gives {mine.shape}, in ONNX Runtime {wanted.shape}; please report this")
    error = float(np.abs(mine.reshape(wanted.shape) - wanted).max())
    if not error <= TOLERANCE * max(float(np.abs(wanted).max()), 1e-6):
        raise CheckFailed(f"read as a module it differs from ONNX Runtime by {error:g}; please report this")


def agreement(net: QNet, images: np.ndarray, theirs: np.ndarray) -> list[str]:
    """How often the integer network names the class that ONNX Runtime names; nothing for networks that name none."""
    if net.output.shape[:2] != (1, 1):
        return []
    mine = logits_of(net, images).argmax(axis=1)
    equal = int((mine == theirs.reshape(len(images), -1).argmax(axis=1)).sum())
    return [
        f"On {len(images)} of the pictures, the integer network names the class of the float network in ONNX Runtime "
        f"{onnxruntime.__version__} in {equal}."
    ]
