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
        constants=integers(beats=max(stage.input.beats, stage.output.beats)),
    )
