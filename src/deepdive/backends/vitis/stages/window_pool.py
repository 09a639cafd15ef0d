"""Pools of a window as C++."""

from __future__ import annotations

import numpy as np

from deepdive.backends.vitis.rom import FACTOR_BITS, drop_bits
from deepdive.backends.vitis.stages.code import StageCode, array, code_of, emit, integers, node_of, requantization
from deepdive.hardware.stages import WindowPool
from deepdive.qnet import AvgPool, QNet


@emit.register
def _(stage: WindowPool, net: QNet) -> StageCode:
    node, (x,) = node_of(net, stage.node)
    if not isinstance(node, AvgPool):
        return code_of(stage, "max_pool", integers(beats=stage.input.beats))
    assert stage.requantizer is not None
    how, taps = node.requantize, node.kernel[0] * node.kernel[1]
    drops = drop_bits(how.shift.astype(np.int64), how.rounding, stage.requantizer.acc_bits + FACTOR_BITS)
    inside = [
        [min(at * step - before + kernel, size) - max(at * step - before, 0) for at in range(windows)]
        for windows, step, before, kernel, size in zip(
            stage.output.shape[:2], node.stride, node.padding[:2], node.kernel, x.shape[:2], strict=True
        )
    ]
    return code_of(
        stage,
        template="avg_pool",
        constants=(
            *integers(height=stage.output.height, width=stage.output.width, groups=stage.output.groups),
            *requantization(how, stage.requantizer, node.output),
            array("int", "biases", -taps * x.zero_point_array.astype(np.int64)),
            array("short", "rows_inside", inside[0]),
            array("short", "columns_inside", inside[1]),
            array("int", "mults", how.mult),
            array("short", "drops", drops),
        ),
    )
