"""A flatten as C++."""

from __future__ import annotations

from deepdive.backends.vitis.stages.code import StageCode, code_of, emit, integers
from deepdive.hardware.stages import Flatten
from deepdive.qnet import QNet


@emit.register
def _(stage: Flatten, net: QNet) -> StageCode:
    # A repack of as many lanes as before: beat by beat, one pixel after the other.
    groups, pixels = stage.input.groups, stage.input.height * stage.input.width
    return code_of(stage, "repack", integers(pixels=pixels, reads=groups, writes=groups))
