"""The parameter files of the paper's MobileNetV2."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepdive.errors import DeepDiveError
from deepdive.qnet.importers.npy import read_npy
from deepdive.qnet.importers.paper_layers import CLASSES, Layer

MARK = "weights_bit_4.npy"
"""A folder with a file of this name is taken for the paper's."""
LABELS, MAX_LABEL_BYTES = "imagenet1000_labels.txt", 1 << 20
CHANNELS, ADDS = 14_320, 30
FILES = {
    "biases": ("|u1", (CHANNELS,)),
    "biases_zp": ("|u1", (53,)),
    "weights_zp": ("|u1", (CHANNELS,)),
    "iMult_biases_acc": ("|u1", (CHANNELS,)),
    "nShif_biases_acc": ("|i1", (CHANNELS,)),
    "downScaling_iMult": ("|u1", (CHANNELS,)),
    "downScaling_nShift": ("|i1", (CHANNELS,)),
    "output_zp": ("|u1", (64,)),
    "output_scale": ("<f4", (64,)),
    "skiplineparam": ("|u1", (ADDS * 4,)),
    "skiplineparamipzpopzp": ("|u1", (ADDS * 2,)),
    "weights_bit_8": ("|u1", (648,)),
    "weights_bit_4": ("|u1", (666_792,)),
    "weights_classifier": ("|u1", (640_000,)),
}
MAX_BIAS_SHIFT = 23
"""bias (9 bits) * multiplier (8 bits) shifted left by more could leave int32."""


@dataclass(frozen=True)
class LayerNumbers:
    """What the files hold of one layer.

    Parameters
    ----------
    weight
        uint8 (out_channels, kernel, kernel, in_channels / groups).
    weight_zero_point
        int16 (out_channels,).
    bias
        int32 (out_channels,), brought to the accumulator's scale as the authors' C++ does.
    mult, shift
        uint16 and uint8 (out_channels,).
    """

    weight: np.ndarray
    weight_zero_point: np.ndarray
    bias: np.ndarray
    mult: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True)
class SkipNumbers:
    """What the files hold of one residual add: ``(q - zero_point) * mult >> shift`` for both sides."""

    mult: tuple[int, int]
    shift: tuple[int, int]
    zero_point: tuple[int, int]


@dataclass(frozen=True)
class PaperFiles:
    """All arrays, by file name without ending."""

    arrays: dict[str, np.ndarray]

    def zero_point(self, entry: int) -> int:
        """Of what is written by the layer, add or pool with this entry."""
        return int(self.arrays["output_zp"][entry])

    def scale(self, entry: int) -> float:
        """Real value of one code step; the file holds its inverse."""
        steps = float(self.arrays["output_scale"][entry])
        if not (np.isfinite(steps) and steps > 0):
            raise DeepDiveError(f"output_scale.npy: entry {entry} is {steps}; it must be finite and positive.")
        return 1 / steps

    def skip(self, number: int) -> SkipNumbers:
        """Of the `number`-th residual add, from 0: first its skip path, then its block."""
        skip_mult, skip_shift, block_mult, block_shift = (
            int(value) for value in self.arrays["skiplineparam"][4 * number : 4 * number + 4]
        )
        if max(skip_shift, block_shift) > 31:
            raise DeepDiveError(
                f"skiplineparam.npy: add {number} shifts by {max(skip_shift, block_shift)}; at most 31."
            )
        skip_zero, block_zero = (
            int(value) for value in self.arrays["skiplineparamipzpopzp"][2 * number : 2 * number + 2]
        )
        return SkipNumbers((skip_mult, block_mult), (skip_shift, block_shift), (skip_zero, block_zero))

    def layer(self, layer: Layer) -> LayerNumbers:
        """Weights unpacked, bias in the accumulator's scale."""
        part = slice(layer.channel, layer.channel + layer.out_channels)
        a = self.arrays
        bias = a["biases"][part].astype(np.int64) - int(a["biases_zp"][layer.index])
        shift = a["nShif_biases_acc"][part].astype(np.int64)
        if np.abs(shift).max() > MAX_BIAS_SHIFT:
            raise DeepDiveError(f"nShif_biases_acc.npy: '{layer.name}' shifts beyond {MAX_BIAS_SHIFT} bits.")
        bias = bias * a["iMult_biases_acc"][part]
        # Right by a positive number, else left.
        bias = np.where(shift > 0, bias >> np.maximum(shift, 0), bias << np.maximum(-shift, 0))
        down = a["downScaling_nShift"][part]
        if down.min() < 1:
            raise DeepDiveError(f"downScaling_nShift.npy: '{layer.name}' shifts by {down.min()}; at least 1.")
        return LayerNumbers(
            self.weight(layer),
            a["weights_zp"][part].astype(np.int16),
            bias.astype(np.int32),
            a["downScaling_iMult"][part].astype(np.uint16),
            down.astype(np.uint8),
        )

    def weight(self, layer: Layer) -> np.ndarray:
        """Two 4-bit weights a byte, the first in the upper half; the first layer's take a byte each."""
        shape = (layer.out_channels, layer.kernel, layer.kernel, 1 if layer.kind == "depthwise" else layer.in_channels)
        if layer.kind == "first":
            return self.arrays["weights_bit_8"].reshape(shape)
        packed = self.arrays["weights_classifier" if layer.kind == "linear" else "weights_bit_4"]
        packed = packed[layer.weight : layer.weight + layer.weight_bytes]
        weight = np.stack([packed >> 4, packed & 15], axis=-1).reshape(layer.out_channels, -1)
        if layer.kind == "depthwise":
            weight = weight[:, :9]  # the tenth half byte is padding
        return np.ascontiguousarray(weight).reshape(shape)


def find_folder(path: Path) -> Path | None:
    """The folder that holds the parameter files: `path`, or the one within that the authors or we put them in."""
    return next((folder for folder in (path, path / "parameters", path / "data") if (folder / MARK).is_file()), None)


def read_files(folder: Path) -> PaperFiles:
    """Every array, its dtype, shape and file size checked.

    Raises
    ------
    DeepDiveError
        Naming the file that is missing, pickled, or of another shape.
    """
    return PaperFiles({name: read_npy(folder / f"{name}.npy", dtype, shape) for name, (dtype, shape) in FILES.items()})


def read_labels(folder: Path) -> tuple[str, ...]:
    """The thousand class names, a line each, if their file lies here or one folder up; else none."""
    for path in (folder / LABELS, folder.parent / LABELS):
        if path.is_file() and path.stat().st_size <= MAX_LABEL_BYTES:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            if len(lines) == CLASSES:
                return tuple(lines)
    return ()
