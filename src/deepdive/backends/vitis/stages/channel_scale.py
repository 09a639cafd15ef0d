"""A channel scale as C++."""

from __future__ import annotations

from deepdive.backends.vitis.rom import FACTOR_BITS, drop_bits
from deepdive.backends.vitis.stages.code import StageCode, array, code_of, emit, integers, node_of, requantization
from deepdive.hardware.stages import ChannelScale
from deepdive.qnet import ChannelScale as ChannelScaleNode
from deepdive.qnet import QNet


@emit.register
def _(stage: ChannelScale, net: QNet) -> StageCode:
    node, (x, factors) = node_of(net, stage.node)
    assert isinstance(node, ChannelScaleNode)
    product_bits = stage.requantizer.acc_bits + FACTOR_BITS
    return code_of(
        stage,
        template="channel_scale",
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
    )
