"""A fork as C++."""

from __future__ import annotations

from deepdive.backends.vitis.stages.code import StageCode, code_of, emit, integers
from deepdive.hardware.stages import Fork
from deepdive.qnet import QNet


@emit.register
def _(stage: Fork, net: QNet) -> StageCode:
    return code_of(stage, "fork", integers(beats=stage.input.beats))
