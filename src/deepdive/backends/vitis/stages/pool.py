"""A global average pool as C++."""

from __future__ import annotations

from deepdive.backends.vitis.rom import FACTOR_BITS, drop_bits
from deepdive.backends.vitis.stages.code import StageCode, array, code_of, emit, integers, node_of, requantization
from deepdive.hardware.constants import pool_bias
from deepdive.hardware.stages import GlobalAveragePool
from deepdive.qnet import GlobalAvgPool, QNet


@emit.register
def _(stage: GlobalAveragePool, net: QNet) -> StageCode:
    node, (x,) = node_of(net, stage.node)
    assert isinstance(node, GlobalAvgPool)
    product_bits = stage.requantizer.acc_bits + FACTOR_BITS
    return code_of(
        stage,
        template="global_avg_pool",
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
    )
