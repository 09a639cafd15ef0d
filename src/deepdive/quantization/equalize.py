"""Cross-layer equalisation (Nagel 2019, section 4.1) driven by activations: every channel uses its share of the codes.

A channel scaled up by k before an activation, and down by k in the weights that read it, computes the same real values.
The accumulator's factor is per output channel and a depthwise filter has its own scale, so between an expansion and a
depthwise convolution this costs nothing at all: the map is as good as quantized per channel. A dense reader shares one
scale among all input channels of a filter; there only part of the way is gone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from deepdive.quantization.modules import QuantizedConv, QuantizedLayer, QuantizedPool
from deepdive.quantization.prepare import QuantizedModel, call_real

DENSE_SHARE = 0.5  # exponent for a dense reader: halfway between equal activations and equal weights
LARGEST_GAIN = 64.0
HEADROOM = 2.0  # other images may hold larger values than those seen


@dataclass(frozen=True)
class Pair:
    """A convolution and the only convolution that reads it, perhaps through a global average pool."""

    writer: QuantizedConv
    reader: QuantizedConv

    @property
    def share(self) -> float:
        """How far to go."""
        return 1.0 if self.reader.groups == self.reader.weight.shape[0] == len(self.writer.weight) else DENSE_SHARE


def find_pairs(model: QuantizedModel) -> list[Pair]:
    """All pairs between which channels can be scaled: the activation must let a positive factor through."""
    readers: dict[str, list[QuantizedLayer]] = {}
    for layer in model:
        for name in layer.inputs:
            readers.setdefault(name, []).append(layer)
    pairs = []
    for writer in model.convolutions():
        follower: QuantizedLayer = writer
        while len(readers.get(follower.name, [])) == 1:
            follower = readers[follower.name][0]
            if not (isinstance(follower, QuantizedPool) and follower.activation is None):
                break
        scalable = writer.activation is None or writer.activation.low == 0
        if isinstance(follower, QuantizedConv) and follower is not writer and scalable:
            pairs.append(Pair(writer, follower))
    return pairs


@torch.no_grad()
def equalize(model: QuantizedModel, images: Tensor, batch: int = 8) -> None:
    """Rescale the channels of every pair by what they hold on `images`, uint8 (N, H, W, C); batch norm must be folded.

    A channel's upper clip (ReLU6) moves from 6 down to the largest value it was seen to hold.
    """
    pairs = find_pairs(model)
    largest = {pair.writer.name: torch.zeros(len(pair.writer.weight), dtype=torch.float64) for pair in pairs}
    for start in range(0, len(images), batch):
        some = images[start : start + batch]
        for layer, x in model.steps(some.permute(0, 3, 1, 2).float(), call_real):
            if layer.name in largest:
                seen = x.abs().amax((0, 2, 3)).double().cpu()
                largest[layer.name] = torch.maximum(largest[layer.name], seen)
    for pair in pairs:
        peak = largest[pair.writer.name]
        gain = torch.where(peak > 0, peak.max() / (HEADROOM * peak), 1.0).clamp(1.0, LARGEST_GAIN) ** pair.share
        rescale(pair, gain.to(pair.writer.weight))


def rescale(pair: Pair, gain: Tensor) -> None:
    """Multiply the writer's channels by `gain` and divide what reads them."""
    writer, reader = pair.writer, pair.reader
    writer.weight.mul_(gain[:, None, None, None])
    writer.bias.mul_(gain)
    out_channels, per_group = reader.weight.shape[:2]
    per_filter = gain.reshape(reader.groups, per_group).repeat_interleave(out_channels // reader.groups, 0)
    reader.weight.div_(per_filter[:, :, None, None])
