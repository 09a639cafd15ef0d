"""A repack as C++."""

from __future__ import annotations

from deepdive.backends.vitis.stages.code import StageCode, code_of, emit, integers
from deepdive.hardware.stages import Repack
from deepdive.qnet import QNet


@emit.register
def _(stage: Repack, net: QNet) -> StageCode:
    return code_of(
        stage,
        template="repack",
        constants=integers(
            pixels=stage.output.height * stage.output.width,
            reads=stage.input.channels // stage.narrow_lanes,
            writes=stage.output.channels // stage.narrow_lanes,
        ),
    )
