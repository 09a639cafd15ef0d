"""The stages as C++, one file a kind: what a unit's source says of each."""

from deepdive.backends.vitis.stages import (
    add,
    channel_scale,
    concat,
    dense,
    depthwise,
    flatten,
    fork,
    pad,
    pool,
    repack,
    table,
    window,
    window_pool,
)
from deepdive.backends.vitis.stages.code import ExternalWeights, StageCode, beat_type, stage_code

__all__ = [
    "ExternalWeights",
    "StageCode",
    "add",
    "beat_type",
    "channel_scale",
    "concat",
    "dense",
    "depthwise",
    "flatten",
    "fork",
    "pad",
    "pool",
    "repack",
    "stage_code",
    "table",
    "window",
    "window_pool",
]
