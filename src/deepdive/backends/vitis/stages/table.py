"""A table as C++."""

from __future__ import annotations

import numpy as np

from deepdive.backends.vitis.rom import Rom
from deepdive.backends.vitis.stages.code import StageCode, code_of, emit, integers, node_of
from deepdive.hardware.stages import Table
from deepdive.qnet import QNet
from deepdive.qnet import Table as TableNode


@emit.register
def _(stage: Table, net: QNet) -> StageCode:
    node, (x,) = node_of(net, stage.node)
    assert isinstance(node, TableNode)
    return code_of(
        stage,
        template="table",
        constants=integers(beats=stage.input.beats, first=x.q_min),
        roms=(Rom(f"{stage.name}_codes", node.values.astype(np.uint8)[:, None], "np"),),
    )
