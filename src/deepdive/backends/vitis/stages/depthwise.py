"""A depthwise stage as C++."""

from __future__ import annotations

from deepdive.backends.vitis.rom import Rom, needed_bits, pack_scales, pack_weights
from deepdive.backends.vitis.stages.code import (
    Constant,
    StageCode,
    code_of,
    emit,
    flag,
    integers,
    node_of,
    requantization,
)
from deepdive.hardware.constants import convolution_scales, depthwise_weights
from deepdive.hardware.stages import Depthwise
from deepdive.hardware.stages.pixel_pair import waiting_beats
from deepdive.qnet import Conv, QNet


@emit.register
def _(stage: Depthwise, net: QNet) -> StageCode:
    node, (x,) = node_of(net, stage.node)
    assert isinstance(node, Conv)
    weights = depthwise_weights(stage, node)
    weight_bits = max(stage.weight_bits, needed_bits(weights))
    pixels = stage.output.height * stage.output.width
    sizes = integers(
        pixels=pixels,
        groups=stage.input.groups,
        turns=stage.folded.steps,
        weight_bits=weight_bits,
        weights_at=0,
        scales_at=0,
    )
    pair = stage.pixel_pair
    if pair:
        first, second = waiting_beats(stage.input.groups)
        sizes = integers(
            pairs=pixels // 2,
            groups=stage.input.groups,
            weight_bits=weight_bits,
            kernel_height=pair.kernel[0],
            kernel_width=pair.kernel[1],
            step=pair.step,
            pair_field=stage.pair_field,
            first_depth=first,
            second_depth=second,
        )
    return code_of(
        stage,
        template="depthwise_pairs" if pair else "depthwise",
        constants=(
            *sizes,
            *(() if pair else multipliers(stage)),
            *requantization(node.requantize, stage.requantizer, node.output),
        ),
        roms=(
            Rom(f"{stage.name}_weights", pack_weights(weights, weight_bits)),
            Rom(f"{stage.name}_scales", pack_scales(convolution_scales(stage, node, x), stage.requantizer)),
        ),
    )


def multipliers(stage: Depthwise) -> tuple[Constant, ...]:
    """What they are made of, how many a lane has, and which taps they multiply, in the order of use."""
    order = stage.folded.order
    values = ", ".join(str(tap) for tap in order)
    return (
        flag("fabric", stage.fabric),
        *integers(parallel=stage.folded.parallel),
        Constant("int", f"order[{len(order)}]", f"{{{values}}}"),
    )
