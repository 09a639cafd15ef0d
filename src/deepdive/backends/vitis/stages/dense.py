"""A dense stage as C++."""

from __future__ import annotations

from deepdive.backends.vitis.rom import Rom, needed_bits, pack_scales, pack_weights
from deepdive.backends.vitis.stages.code import (
    ExternalWeights,
    StageCode,
    code_of,
    emit,
    flag,
    integers,
    node_of,
    requantization,
)
from deepdive.hardware.constants import convolution_scales, dense_weights
from deepdive.hardware.stages import Dense
from deepdive.qnet import Conv, Linear, QNet


@emit.register
def _(stage: Dense, net: QNet) -> StageCode:
    node, (x,) = node_of(net, stage.node)
    assert isinstance(node, Conv | Linear)
    weights = dense_weights(stage, node)
    weight_bits = max(stage.weight_bits, needed_bits(weights))
    packed = pack_weights(weights, weight_bits)
    scales = Rom(f"{stage.name}_scales", pack_scales(convolution_scales(stage, node, x), stage.requantizer))
    external = stage.weights == "external"
    return code_of(
        stage,
        template="dense",
        constants=(
            *integers(
                pixels=stage.output.height * stage.output.width,
                groups=stage.input.groups,
                least_groups=stage.input.groups,
                out_groups=stage.out_groups,
                out_parallel=stage.out_parallel,
                weight_bits=weight_bits,
                pair_field=stage.pair_field,
                weights_at=0,
                scales_at=0,
            ),
            flag("drains", stage.drains),
            flag("fabric", stage.fabric),
            *requantization(node.requantize, stage.requantizer, node.output),
        ),
        roms=(scales,) if external else (Rom(f"{stage.name}_weights", packed), scales),
        external=ExternalWeights(packed, stage.output.height * stage.output.width) if external else None,
    )
