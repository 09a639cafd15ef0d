"""A stage as C++: the parameters of its template, its ROMs, its call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import singledispatch

import numpy as np

from deepdive.backends.vitis.rom import FACTOR_BITS, Rom, drop_bits, needed_bits, pack_scales, pack_weights
from deepdive.hardware.constants import add_bias, convolution_scales, dense_weights, depthwise_weights, pool_bias
from deepdive.hardware.stages import (
    AnyStage,
    ChannelScale,
    Dense,
    Depthwise,
    Flatten,
    Fork,
    GlobalAveragePool,
    Pad,
    Repack,
    Requantizer,
    ResidualAdd,
    Table,
    Window,
    WindowPool,
)
from deepdive.hardware.stream import Stream
from deepdive.qnet import Add, AvgPool, Conv, FeatureMap, GlobalAvgPool, Linear, Node, QNet, Requantize
from deepdive.qnet import ChannelScale as ChannelScaleNode
from deepdive.qnet import Table as TableNode

ADD_BITS = 27
"""Bits of the sum in ``deepdive/add.h``: two products of 9 and 17 bits."""


@dataclass(frozen=True, eq=False)
class Constant:
    """A parameter of a stage's template: ``static constexpr type name = value``."""

    type: str
    name: str
    value: str


@dataclass(frozen=True, eq=False)
class ExternalWeights:
    """Weights that a stage reads from memory while it runs.

    Parameters
    ----------
    name
        Of the stage; the port and the file are named after it.
    bytes
        uint8 (words, bytes of a word).
    passes
        How often a frame reads them all.
    """

    name: str
    bytes: np.ndarray
    passes: int


@dataclass(frozen=True, eq=False)
class StageCode:
    """What a unit's source file says of one stage.

    Parameters
    ----------
    template
        The header and the function: ``deepdive/window.h``, ``deepdive::window``.
    name
        Of the stage; what belongs to it starts with it.
    beats
        C++ names of the template's stream types, and their types.
    constants
        The other parameters.
    streams
        Names of the streams read and written, in the order of the call.
    """

    template: str
    name: str
    beats: tuple[tuple[str, str], ...]
    constants: tuple[Constant, ...]
    streams: tuple[str, ...]
    roms: tuple[Rom, ...] = ()
    external: ExternalWeights | None = None


def beat_type(stream: Stream) -> str:
    """C++ type of a beat."""
    element = "ap_int" if stream.signed else "ap_uint"
    return f"deepdive::beat<{element}<{stream.bits}>, {stream.taps * stream.lanes}>"


def stage_code(stage: AnyStage, net: QNet) -> StageCode:
    """The C++ of one stage; its numbers come from the network's node."""
    return emit(stage, net)


def integers(**values: int) -> tuple[Constant, ...]:
    """Constants of type int."""
    return tuple(Constant("int", name, str(value)) for name, value in values.items())


def flag(name: str, value: bool) -> Constant:
    """A constant of type bool."""
    return Constant("bool", name, "true" if value else "false")


def array(type_: str, name: str, values: Iterable[int]) -> Constant:
    """A constant array."""
    texts = [str(value) for value in values]
    return Constant(type_, f"{name}[{len(texts)}]", f"{{{', '.join(texts)}}}")


def requantization(how: Requantize, requantizer: Requantizer, output: FeatureMap) -> tuple[Constant, ...]:
    """What `requantize` in ``deepdive/requantize.h`` asks of a stage's parameters."""
    return (
        *integers(
            acc_bits=requantizer.acc_bits,
            zero_point=output.uniform_zero_point,
            q_min=how.q_min,
            q_max=how.q_max,
        ),
        flag("half_up", how.rounding == "half_up"),
    )


def node_of(net: QNet, name: str) -> tuple[Node, tuple[FeatureMap, ...]]:
    """A node by name and what it reads."""
    node = next(node for node in net.nodes if node.name == name)
    return node, net.inputs_of(node)


@singledispatch
def emit(stage: object, net: QNet) -> StageCode:
    raise NotImplementedError(type(stage).__name__)


@emit.register
def _(stage: Window, net: QNet) -> StageCode:
    top, left, bottom, right = stage.padding
    return StageCode(
        template="window",
        name=stage.name,
        beats=(("input", beat_type(stage.input)), ("output", beat_type(stage.output))),
        constants=(
            *integers(
                height=stage.input.height,
                width=stage.input.width,
                groups=stage.input.groups,
                kernel_height=stage.kernel[0],
                kernel_width=stage.kernel[1],
                stride_y=stage.stride[0],
                stride_x=stage.stride[1],
                pad_top=top,
                pad_left=left,
                pad_bottom=bottom,
                pad_right=right,
            ),
            array("short", "zero_points", stage.zero_point),
        ),
        streams=(stage.input.name, stage.output.name),
    )


@emit.register
def _(stage: Dense, net: QNet) -> StageCode:
    node, (x,) = node_of(net, stage.node)
    assert isinstance(node, Conv | Linear)
    weights = dense_weights(stage, node)
    weight_bits = max(stage.weight_bits, needed_bits(weights))
    packed = pack_weights(weights, weight_bits)
    scales = Rom(f"{stage.name}_scales", pack_scales(convolution_scales(stage, node, x), stage.requantizer))
    external = stage.weights == "external"
    return StageCode(
        template="dense",
        name=stage.name,
        beats=(("input", beat_type(stage.input)), ("output", beat_type(stage.output))),
        constants=(
            *integers(
                pixels=stage.output.height * stage.output.width,
                groups=stage.input.groups,
                out_groups=stage.out_groups,
                out_parallel=stage.out_parallel,
                weight_bits=weight_bits,
            ),
            flag("drains", stage.drains),
            *requantization(node.requantize, stage.requantizer, node.output),
        ),
        streams=(stage.input.name, stage.output.name),
        roms=(scales,) if external else (Rom(f"{stage.name}_weights", packed), scales),
        external=ExternalWeights(stage.name, packed, stage.output.height * stage.output.width) if external else None,
    )


@emit.register
def _(stage: Depthwise, net: QNet) -> StageCode:
    node, (x,) = node_of(net, stage.node)
    assert isinstance(node, Conv)
    weights = depthwise_weights(stage, node)
    weight_bits = max(stage.weight_bits, needed_bits(weights))
    return StageCode(
        template="depthwise",
        name=stage.name,
        beats=(("input", beat_type(stage.input)), ("output", beat_type(stage.output))),
        constants=(
            *integers(
                pixels=stage.output.height * stage.output.width,
                groups=stage.input.groups,
                weight_bits=weight_bits,
            ),
            flag("fabric", stage.fabric),
            *requantization(node.requantize, stage.requantizer, node.output),
        ),
        streams=(stage.input.name, stage.output.name),
        roms=(
            Rom(f"{stage.name}_weights", pack_weights(weights, weight_bits)),
            Rom(f"{stage.name}_scales", pack_scales(convolution_scales(stage, node, x), stage.requantizer)),
        ),
    )


@emit.register
def _(stage: ResidualAdd, net: QNet) -> StageCode:
    node, (a, b) = node_of(net, stage.node)
    assert isinstance(node, Add)
    return StageCode(
        template="add",
        name=stage.name,
        beats=(
            ("input_a", beat_type(stage.input_a)),
            ("input_b", beat_type(stage.input_b)),
            ("output", beat_type(stage.output)),
        ),
        constants=(
            *integers(
                pixels=stage.output.height * stage.output.width,
                groups=stage.output.groups,
                mult_a=node.mult[0],
                mult_b=node.mult[1],
                drop=int(drop_bits(node.shift, node.rounding, ADD_BITS)),
                zero_point=node.output.uniform_zero_point,
                q_min=node.q_min,
                q_max=node.q_max,
            ),
            flag("half_up", node.rounding == "half_up"),
            array("int", "biases", add_bias(node, a, b)),
        ),
        streams=(stage.input_a.name, stage.input_b.name, stage.output.name),
    )


@emit.register
def _(stage: GlobalAveragePool, net: QNet) -> StageCode:
    node, (x,) = node_of(net, stage.node)
    assert isinstance(node, GlobalAvgPool)
    product_bits = stage.requantizer.acc_bits + FACTOR_BITS
    return StageCode(
        template="global_avg_pool",
        name=stage.name,
        beats=(("input", beat_type(stage.input)), ("output", beat_type(stage.output))),
        constants=(
            *integers(
                pixels=stage.input.height * stage.input.width,
                groups=stage.input.groups,
                mult=int(node.requantize.mult[0]),
                drop=int(drop_bits(node.requantize.shift[0], node.requantize.rounding, product_bits)),
            ),
            *requantization(node.requantize, stage.requantizer, node.output),
            array("int", "biases", pool_bias(stage, x)),
        ),
        streams=(stage.input.name, stage.output.name),
    )


@emit.register
def _(stage: ChannelScale, net: QNet) -> StageCode:
    node, (x, factors) = node_of(net, stage.node)
    assert isinstance(node, ChannelScaleNode)
    product_bits = stage.requantizer.acc_bits + FACTOR_BITS
    return StageCode(
        template="channel_scale",
        name=stage.name,
        beats=(
            ("input", beat_type(stage.input)),
            ("factors", beat_type(stage.factors)),
            ("output", beat_type(stage.output)),
        ),
        constants=(
            *integers(
                pixels=stage.input.height * stage.input.width,
                groups=stage.input.groups,
                mult=int(node.requantize.mult[0]),
                drop=int(drop_bits(node.requantize.shift[0], node.requantize.rounding, product_bits)),
            ),
            *requantization(node.requantize, stage.requantizer, node.output),
            array("short", "zeros_input", x.zero_points),
            array("short", "zeros_factors", factors.zero_points),
        ),
        streams=(stage.input.name, stage.factors.name, stage.output.name),
    )


@emit.register
def _(stage: Table, net: QNet) -> StageCode:
    node, (x,) = node_of(net, stage.node)
    assert isinstance(node, TableNode)
    return StageCode(
        template="table",
        name=stage.name,
        beats=(("input", beat_type(stage.input)), ("output", beat_type(stage.output))),
        constants=integers(beats=stage.input.beats, codes=len(node.values), first=x.q_min),
        streams=(stage.input.name, stage.output.name),
        roms=(Rom(f"{stage.name}_codes", node.values.astype(np.uint8)[:, None], "np"),),
    )


@emit.register
def _(stage: WindowPool, net: QNet) -> StageCode:
    node, (x,) = node_of(net, stage.node)
    beats = (("input", beat_type(stage.input)), ("output", beat_type(stage.output)))
    streams = (stage.input.name, stage.output.name)
    if not isinstance(node, AvgPool):
        return StageCode("max_pool", stage.name, beats, integers(beats=stage.input.beats), streams)
    assert stage.requantizer is not None
    how, taps = node.requantize, node.kernel[0] * node.kernel[1]
    drops = drop_bits(how.shift.astype(np.int64), how.rounding, stage.requantizer.acc_bits + FACTOR_BITS)
    inside = [
        [min(at * step - before + kernel, size) - max(at * step - before, 0) for at in range(windows)]
        for windows, step, before, kernel, size in zip(
            stage.output.shape[:2], node.stride, node.padding[:2], node.kernel, x.shape[:2], strict=True
        )
    ]
    return StageCode(
        template="avg_pool",
        name=stage.name,
        beats=beats,
        constants=(
            *integers(height=stage.output.height, width=stage.output.width, groups=stage.output.groups),
            *requantization(how, stage.requantizer, node.output),
            array("int", "biases", -taps * x.zero_point_array.astype(np.int64)),
            array("short", "rows_inside", inside[0]),
            array("short", "columns_inside", inside[1]),
            array("int", "mults", how.mult),
            array("short", "drops", drops),
        ),
        streams=streams,
    )


@emit.register
def _(stage: Pad, net: QNet) -> StageCode:
    top, left, bottom, right = stage.padding
    return StageCode(
        template="pad",
        name=stage.name,
        beats=(("input", beat_type(stage.input)), ("output", beat_type(stage.output))),
        constants=integers(
            height=stage.input.height,
            width=stage.input.width,
            groups=stage.input.groups,
            pad_top=top,
            pad_left=left,
            pad_bottom=bottom,
            pad_right=right,
            zero_point=stage.zero_point,
        ),
        streams=(stage.input.name, stage.output.name),
    )


@emit.register
def _(stage: Flatten, net: QNet) -> StageCode:
    # A repack of as many lanes as before: beat by beat.
    beats = (("input", beat_type(stage.input)), ("output", beat_type(stage.output)))
    constants = integers(beats=stage.input.beats)
    return StageCode("repack", stage.name, beats, constants, (stage.input.name, stage.output.name))


@emit.register
def _(stage: Fork, net: QNet) -> StageCode:
    return StageCode(
        template="fork",
        name=stage.name,
        beats=(("input", beat_type(stage.input)),),
        constants=integers(beats=stage.input.beats),
        streams=(stage.input.name, stage.output_a.name, stage.output_b.name),
    )


@emit.register
def _(stage: Repack, net: QNet) -> StageCode:
    return StageCode(
        template="repack",
        name=stage.name,
        beats=(("input", beat_type(stage.input)), ("output", beat_type(stage.output))),
        constants=integers(beats=max(stage.input.beats, stage.output.beats)),
        streams=(stage.input.name, stage.output.name),
    )
