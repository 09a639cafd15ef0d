"""Layer after layer, each on the inputs that the layers before it give now: rounding adapts, then the bias."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from deepdive.errors import DeepDiveError
from deepdive.quantization.grid import Codes
from deepdive.quantization.modules import QuantizedConv, QuantizedLayer
from deepdive.quantization.prepare import QuantizedModel
from deepdive.quantization.rounding import round_adaptively

LARGEST = 1e30
"""Of what a layer sums up, before its activation clips it: its square must still be a float64, its mean a float32."""
MAX_MOMENTS = 1 << 25
"""Numbers in a layer's covariances, 256 MiB: a layer that reads more than 5,792 values is rounded to the nearest."""
Progress = Callable[[str], None]
Maps = tuple[Tensor, Codes]  # one feature map in the float network and in the quantized one


@torch.no_grad()
def correct(model: QuantizedModel, images: Tensor, rounding: bool, progress: Progress | None = None) -> None:
    """Bring every convolution's output back to the float network's, on images uint8 (N, H, W, C).

    The bias takes the mean error of each channel (Nagel 2019, section 4.2, measured instead of derived).
    """

    def step(layer: QuantizedLayer, inputs: list[Maps]) -> Maps:
        if progress:
            progress(f"adapting '{layer.name}'")
        if not isinstance(layer, QuantizedConv):
            return layer.real(*(real for real, _ in inputs)), layer(*(codes for _, codes in inputs))
        ((real, codes),) = inputs
        wanted = layer.real_sum(real)
        if not (wanted.abs() <= LARGEST).all() or not (codes.grid.scale * codes.values.abs().max() <= LARGEST):
            raise DeepDiveError(f"'{layer.name}' gives values beyond {LARGEST:g} on the images; check the weights.")
        if rounding and layer.weight[0].numel() ** 2 * layer.groups <= MAX_MOMENTS:
            seen = (codes.values * codes.grid.scale).float()
            round_adaptively(layer, seen if layer.pixels is not None else real, seen, codes.grid.scale)
        integers = layer.integers(codes.grid)
        got = layer.accumulate(codes, integers) * integers.scale[:, None, None]
        layer.bias.add_((wanted - got).mean((0, 2, 3)).to(layer.bias.dtype))
        return layer.clip(wanted), layer(codes)

    start = (images.permute(0, 3, 1, 2).float(), model.input_codes(images))
    for _ in model.steps(start, step):
        pass
