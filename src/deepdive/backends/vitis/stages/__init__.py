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
    shared_body,
    table,
    window,
    window_pool,
)
from deepdive.backends.vitis.stages.code import Buffer, MemoryPort, StageCode, beat_type, printable, stage_code

__all__ = [
    "Buffer",
    "MemoryPort",
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
    "printable",
    "repack",
    "shared_body",
    "stage_code",
    "table",
    "window",
    "window_pool",
]
