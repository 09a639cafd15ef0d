"""Quantized layers that slide a window or move codes: pooling, concatenation, zero padding."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from deepdive.quantization.grid import Codes, Dyadic, Grid, dyadic
from deepdive.quantization.modules import Bits, QuantizedLayer
from deepdive.quantization.plan import AvgPoolLayer, ConcatLayer, MaxPoolLayer, PadLayer


def padded(x: Tensor, padding: tuple[int, int, int, int], value: float = 0.0) -> Tensor:
    """(N, C, H, W) within a frame (top, left, bottom, right)."""
    top, left, bottom, right = padding
    return F.pad(x, (left, right, top, bottom), value=value) if any(padding) else x


class QuantizedMaxPool(QuantizedLayer):
    """Largest value of each window; its codes are its input's."""

    keeps_codes = True

    def __init__(self, layer: MaxPoolLayer, bits: Bits) -> None:
        super().__init__(layer, bits.activations)
        self.kernel, self.stride, self.padding = layer.kernel, layer.stride, layer.padding

    def real(self, *inputs: Tensor) -> Tensor:
        return F.max_pool2d(padded(inputs[0], self.padding, float("-inf")), self.kernel, self.stride)

    def forward(self, *inputs: Codes) -> Codes:
        return Codes(self.real(inputs[0].values), self.output.grid)


class QuantizedAvgPool(QuantizedLayer):
    """Mean of each window; padding counts as zeros, or not at all."""

    def __init__(self, layer: AvgPoolLayer, bits: Bits) -> None:
        super().__init__(layer, bits.activations, layer.clip)
        self.kernel, self.stride, self.padding = layer.kernel, layer.stride, layer.padding
        self.counts_padding = layer.counts_padding

    @property
    def taps(self) -> int:
        """Values under a window."""
        return self.kernel[0] * self.kernel[1]

    def sums(self, x: Tensor) -> Tensor:
        """Sum of each window; exact on integers."""
        return F.avg_pool2d(padded(x, self.padding), self.kernel, self.stride, divisor_override=1)

    def inside(self, x: Tensor) -> Tensor:
        """How many taps of each window lie inside the map, (1, 1, H, W) of the output."""
        return self.sums(torch.ones_like(x[:1, :1]))

    def real(self, *inputs: Tensor) -> Tensor:
        x = inputs[0]
        return self.clip(self.sums(x) / (self.taps if self.counts_padding else self.inside(x)))

    def factor(self, x: Grid) -> Dyadic:
        """With the division inside: one, or one for each count of taps inside the map, 1 to all."""
        first = self.taps if self.counts_padding else 1
        counts = torch.arange(first, self.taps + 1, dtype=torch.float64, device=x.scale.device)
        return dyadic(x.scale / (self.output.grid.scale * counts))

    def forward(self, *inputs: Codes) -> Codes:
        x = inputs[0]
        factor = self.factor(x.grid)
        if not self.counts_padding:
            index = self.inside(x.values).long() - 1
            factor = Dyadic(factor.mult[index], factor.shift[index])
        return self.finish(factor.apply(self.sums(x.values.double())), x.values.dtype)


class QuantizedConcat(QuantizedLayer):
    """Channels of two maps side by side; all three have one grid."""

    keeps_codes = True

    def __init__(self, layer: ConcatLayer, bits: Bits) -> None:
        super().__init__(layer, bits.activations)

    def real(self, *inputs: Tensor) -> Tensor:
        return torch.cat(inputs, 1)

    def forward(self, *inputs: Codes) -> Codes:
        return Codes(torch.cat([one.values for one in inputs], 1), self.output.grid)


class QuantizedPad(QuantizedLayer):
    """The map within a frame of zeros; its codes are its input's."""

    keeps_codes = True

    def __init__(self, layer: PadLayer, bits: Bits) -> None:
        super().__init__(layer, bits.activations)
        self.padding = layer.padding

    def real(self, *inputs: Tensor) -> Tensor:
        return padded(inputs[0], self.padding)

    def forward(self, *inputs: Codes) -> Codes:
        return Codes(padded(inputs[0].values, self.padding), self.output.grid)


def share_quantizers(layers: Iterable[QuantizedLayer]) -> None:
    """One output quantizer, that of most bits, for all maps that layers pass on code by code.

    So a concatenation costs nothing: what it joins is quantized to one range in the first place.
    """
    layers = list(layers)
    by_name = {layer.name: layer for layer in layers}
    groups = {layer.name: [layer] for layer in layers}
    for layer in layers:
        if not isinstance(layer, QuantizedMaxPool | QuantizedConcat | QuantizedPad):
            continue
        for name in layer.inputs:
            mine, other = groups[layer.name], groups[by_name[name].name]
            if mine is not other:
                mine.extend(other)
                groups.update(dict.fromkeys((one.name for one in other), mine))
    for group in groups.values():
        quantizer = max((one.output for one in group), key=lambda one: one.bits)
        for one in group:
            one.output = quantizer
