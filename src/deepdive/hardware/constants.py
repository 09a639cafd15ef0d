"""The numbers inside a stage: weights word by word in the order of use, bias, mult and shift by output beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepdive.hardware.stages import Dense, Depthwise, GlobalAveragePool
from deepdive.qnet import Add, Conv, FeatureMap, Linear, Table


@dataclass(frozen=True, eq=False)
class Scales:
    """What requantization needs, one row an output beat of a pixel, one column a lane.

    Of a depthwise stage for pairs of pixels, whose steps give half a beat of each, one row half a beat.

    ``code = clip((((sum + bias) * mult + half) >> shift) + zero_point)``, where `sum` adds up codes times centred
    weights: the zero point's part of the sum is a constant of the channel and lies in `bias`, so no stage subtracts it.
    ``sum + bias`` is the contract's accumulator; it fits the stage's `acc_bits`.

    Parameters
    ----------
    bias, mult, shift
        int64, int64 (0..65535), int64 (1..48), each (groups, lanes).
    """

    bias: np.ndarray
    mult: np.ndarray
    shift: np.ndarray


def dense_weights(stage: Dense, node: Conv | Linear) -> np.ndarray:
    """Centred weights, int16 (steps a pixel, input.taps * input.lanes, out_parallel).

    Step ``out_group * input.groups + group`` uses word ``out_group * input.groups + group``. A grouped convolution is
    filled up with zeros, and so are channels that the stage has and the network has not.
    """
    source, result = stage.input, stage.output
    weight = ungrouped(as_conv(node))
    full = np.zeros((result.channels, source.taps, source.channels), dtype=np.int16)
    full[: weight.shape[0], :, : weight.shape[3]] = weight.reshape(weight.shape[0], source.taps, weight.shape[3])
    split = full.reshape(stage.out_groups, stage.out_parallel, source.taps, source.groups, source.lanes)
    depth = stage.out_groups * source.groups
    return split.transpose(0, 3, 2, 4, 1).reshape(depth, source.taps * source.lanes, stage.out_parallel)


def depthwise_weights(stage: Depthwise, node: Conv, kernel: tuple[int, int] | None = None) -> np.ndarray:
    """Centred weights, int16 (steps, taps of a step, step_lanes); channels that the network has not are zeros.

    A filter smaller than `kernel`, by default its own, stands in the middle of zeros. Step ``group * folded.steps + s``
    uses word ``group * folded.steps + s``, where a group is one of `step_lanes` channels.
    """
    source, lanes = stage.input, stage.step_lanes
    channels, rows, columns, _ = node.weight.shape
    height, width = kernel or (rows, columns)
    full = np.zeros((height, width, source.channels), dtype=np.int16)
    top, left = (height - rows) // 2, (width - columns) // 2
    full[top : top + rows, left : left + columns, :channels] = node.centred_weight[..., 0].transpose(1, 2, 0)
    taps = stage.folded
    ordered = full.reshape(len(taps.order), source.channels // lanes, lanes)[list(taps.order)]
    ordered = np.pad(ordered, ((0, -len(ordered) % taps.parallel), (0, 0), (0, 0)))[: taps.steps * taps.parallel]
    split = ordered.reshape(taps.steps, taps.parallel, source.channels // lanes, lanes).transpose(2, 0, 1, 3)
    return split.reshape(-1, taps.parallel, lanes)


def convolution_scales(stage: Dense | Depthwise, node: Conv | Linear, x: FeatureMap) -> Scales:
    """Scales of a convolution or linear layer that reads `x`."""
    conv = as_conv(node)
    channels, _, _, per_group = conv.weight.shape
    zero_point = np.broadcast_to(x.zero_point_array, (x.shape[2],)).reshape(conv.groups, per_group)
    group = np.arange(channels) // (channels // conv.groups)
    zero_part = (conv.centred_weight.sum(axis=(1, 2), dtype=np.int64) * zero_point[group]).sum(axis=1)
    mult, shift = (
        np.broadcast_to(part.astype(np.int64), (channels,)) for part in (conv.requantize.mult, conv.requantize.shift)
    )
    padded = stage.output.padding > 0  # those channels' sums are zeros: with a scale that others have, none is added
    return Scales(
        bias=by_beat(conv.bias.astype(np.int64) - zero_part, stage, fill=0),
        mult=by_beat(mult, stage, fill=int(mult[0]) if padded else 0),
        shift=by_beat(shift, stage, fill=int(shift[0]) if padded else 1),
    )


def pool_bias(stage: GlobalAveragePool, x: FeatureMap) -> np.ndarray:
    """What the zero points of all pixels of `x` add to a sum of codes, int64: one value, or one a channel."""
    return -stage.input.height * stage.input.width * x.zero_point_array.astype(np.int64)


def add_bias(node: Add, a: FeatureMap, b: FeatureMap) -> np.ndarray:
    """What the zero points add to ``a * mult[0] + b * mult[1]`` of codes, int64: one value, or one a channel."""
    return -(a.zero_point_array.astype(np.int64) * node.mult[0] + b.zero_point_array.astype(np.int64) * node.mult[1])


def as_conv(node: Conv | Linear) -> Conv:
    """A linear layer as the pointwise convolution that it is."""
    return node.as_conv() if isinstance(node, Linear) else node


def ungrouped(conv: Conv) -> np.ndarray:
    """Centred weights as of a convolution with one group, int16 (out_channels, kernel_h, kernel_w, in_channels)."""
    weight = conv.centred_weight
    if conv.groups == 1:
        return weight
    out_channels, kernel_h, kernel_w, per_group = weight.shape
    full = np.zeros((out_channels, kernel_h, kernel_w, conv.groups, per_group), dtype=np.int16)
    channel = np.arange(out_channels)
    full[channel, :, :, channel // (out_channels // conv.groups)] = weight
    return full.reshape(out_channels, kernel_h, kernel_w, conv.groups * per_group)


def by_beat(values: np.ndarray, stage: Dense | Depthwise | GlobalAveragePool, *, fill: int) -> np.ndarray:
    """One value a network channel to (groups, lanes) of the output, or of its halves; channels beyond hold `fill`."""
    output = stage.scales_output if isinstance(stage, Depthwise) else stage.output
    full = np.full(output.channels, fill, dtype=np.int64)
    full[: len(values)] = values
    return full.reshape(output.groups, output.lanes)


def table_codes(node: Table | None) -> np.ndarray:
    """What a shared unit's codes, unsigned bytes, become behind a table, uint8 (256,): themselves where there is none.

    Codes of less than 8 bits take the first rows.
    """
    codes = np.arange(256)
    if node is not None:
        codes[: len(node.values)] = node.values.astype(np.int64) - node.output.q_min
    return codes.astype(np.uint8)
