"""A channel scale as C++."""

from __future__ import annotations

from deepdive.backends.vitis.stages.code import StageCode, array, code_of, emit, frame_scale, node_of
from deepdive.hardware.stages import ChannelScale
from deepdive.qnet import ChannelScale as ChannelScaleNode
from deepdive.qnet import QNet


@emit.register
def _(stage: ChannelScale, net: QNet) -> StageCode:
    node, (x, factors) = node_of(net, stage.node)
    assert isinstance(node, ChannelScaleNode)
    return code_of(
        stage,
        template="channel_scale",
        constants=(
            *frame_scale(stage, node.requantize, node.output),
            array("short", "zeros_input", x.zero_points),
            array("short", "zeros_factors", factors.zero_points),
        ),
    )
