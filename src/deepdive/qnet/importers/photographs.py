"""How photographs become the input of a network from elsewhere, and float networks quantized with them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from deepdive.errors import DeepDiveError
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.importers.onnx_source import Source, parse_source
from deepdive.qnet.preprocess import Preprocess, read_images

Colours = tuple[float, float, float]


@dataclass(frozen=True)
class Photographs:
    """What the network saw in training: ``(pixel / 255 - mean) / std``, and pictures of it.

    Parameters
    ----------
    mean, std
        Of red, green and blue, for pixels from 0 to 1.
    resize_short, interpolation
        As in `Preprocess`.
    pictures
        Image files that show what the network will see; a float network is quantized with them.
    """

    mean: Colours = (0.0, 0.0, 0.0)
    std: Colours = (1.0, 1.0, 1.0)
    resize_short: int | None = None
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    pictures: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if not np.isfinite([*self.mean, *self.std]).all() or min(self.std) <= 0:
            raise DeepDiveError(f"mean {self.mean} and std {self.std} must be finite, and std positive")

    def reals(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels (..., 3), uint8, as the network's real numbers, float32."""
        return ((pixels / 255.0 - np.array(self.mean)) / np.array(self.std)).astype(np.float32)

    def preprocess(self, x: FeatureMap) -> Preprocess:
        """From photographs to the codes of the network's input.

        Raises
        ------
        DeepDiveError
            When the input is no unsigned RGB picture.
        """
        if x.shape[2] != 3 or x.signed:
            raise DeepDiveError(
                f"its input '{x.name}' {x.shape} is {'signed' if x.signed else 'no RGB picture'}; leave out the mean, "
                "std and images, and feed it codes"
            )
        reals = self.reals(np.repeat(np.arange(256)[:, None], 3, axis=1)).astype(np.float64)
        codes = np.clip(np.rint(reals / x.scale) + x.uniform_zero_point, x.q_min, x.q_max).astype(int)
        rows = tuple(tuple(int(code) for code in codes[:, channel]) for channel in range(3))
        return Preprocess(x.shape[:2], self.resize_short, self.interpolation, rows)


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """Pictures one by one, as ONNX Runtime's quantizer asks for them."""

    def __init__(self, source: Source, photographs: Photographs) -> None:
        _, height, width = source.dims
        preprocess = Preprocess((height, width), photographs.resize_short, photographs.interpolation)
        self.inputs = self.read(source.input, preprocess, photographs)

    def read(self, name: str, preprocess: Preprocess, photographs: Photographs) -> Iterator[dict[str, np.ndarray]]:
        for path in photographs.pictures:
            reals = photographs.reals(read_images([path], preprocess))
            yield {name: np.ascontiguousarray(reals.transpose(0, 3, 1, 2))}

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.inputs, None)


def quantize_float(source: Source, photographs: Photographs) -> Source:
    """A float network quantized to 8 bits by ONNX Runtime, per output channel, with ranges from the pictures.

    Raises
    ------
    DeepDiveError
        When its input is no picture, or ONNX Runtime cannot quantize it.
    """
    if len(source.dims) != 3 or source.dims[0] != 3 or source.dtype.kind != "f" or source.batch not in (None, 1):
        raise DeepDiveError(f"its input {source.dims} is no float RGB picture with a batch that is free or one")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "quantized.onnx"
        try:
            quantize_static(
                source.model,
                str(target),
                Reader(source, photographs),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
            data = target.read_bytes()
        except DeepDiveError:
            raise
        except Exception as error:  # whatever ONNX Runtime's quantizer stumbles over in a stranger's graph
            raise DeepDiveError(f"ONNX Runtime does not quantize it ({str(error)[:300]})") from None
    return parse_source(data)
