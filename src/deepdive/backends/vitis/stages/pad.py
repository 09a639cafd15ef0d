"""A pad as C++."""

from __future__ import annotations

from deepdive.backends.vitis.stages.code import StageCode, code_of, emit, integers
from deepdive.hardware.stages import Pad
from deepdive.qnet import QNet


@emit.register
def _(stage: Pad, net: QNet) -> StageCode:
    top, left, bottom, right = stage.padding
    return code_of(
        stage,
        template="pad",
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
    )
