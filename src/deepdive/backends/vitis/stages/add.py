"""A residual add as C++."""

from __future__ import annotations

from deepdive.backends.vitis.rom import drop_bits
from deepdive.backends.vitis.stages.code import StageCode, array, code_of, emit, flag, integers, node_of
from deepdive.hardware.constants import add_bias
from deepdive.hardware.stages import ResidualAdd
from deepdive.qnet import Add, QNet

ADD_BITS = 27
"""Bits of the sum in ``deepdive/add.h``: two products of 9 and 17 bits."""


@emit.register
def _(stage: ResidualAdd, net: QNet) -> StageCode:
    node, (a, b) = node_of(net, stage.node)
    assert isinstance(node, Add)
    return code_of(
        stage,
        template="add",
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
    )
