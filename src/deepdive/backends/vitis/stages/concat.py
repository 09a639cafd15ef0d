"""A concat as C++."""

from __future__ import annotations

from deepdive.backends.vitis.stages.code import StageCode, code_of, emit, integers
from deepdive.hardware.stages import Concat
from deepdive.qnet import QNet


@emit.register
def _(stage: Concat, net: QNet) -> StageCode:
    pixels, a, b = stage.output.height * stage.output.width, stage.input_a.groups, stage.input_b.groups
    return code_of(stage, "concat", integers(pixels=pixels, groups_a=a, groups_b=b))
