"""A global average pool as C++."""

from __future__ import annotations

from deepdive.backends.vitis.stages.code import StageCode, array, code_of, emit, frame_scale, node_of
from deepdive.hardware.constants import pool_bias
from deepdive.hardware.stages import GlobalAveragePool
from deepdive.qnet import GlobalAvgPool, QNet


@emit.register
def _(stage: GlobalAveragePool, net: QNet) -> StageCode:
    node, (x,) = node_of(net, stage.node)
    assert isinstance(node, GlobalAvgPool)
    return code_of(
        stage,
        template="global_avg_pool",
        constants=(
            *frame_scale(stage, node.requantize, node.output),
            array("int", "biases", pool_bias(stage, x)),
        ),
    )
