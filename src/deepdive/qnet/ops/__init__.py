"""The operators of the integer network, as plain data. What they compute stands in `deepdive.qnet.reference`."""

from deepdive.qnet.ops.add import Add
from deepdive.qnet.ops.avg_pool import AvgPool
from deepdive.qnet.ops.channel_scale import ChannelScale
from deepdive.qnet.ops.concat import Concat
from deepdive.qnet.ops.conv import Conv
from deepdive.qnet.ops.flatten import Flatten
from deepdive.qnet.ops.global_avg_pool import GlobalAvgPool
from deepdive.qnet.ops.limits import INT32_MAX, INT32_MIN
from deepdive.qnet.ops.linear import Linear
from deepdive.qnet.ops.max_pool import MaxPool
from deepdive.qnet.ops.pad import Pad
from deepdive.qnet.ops.requantize import MAX_SHIFT, Requantize, Rounding
from deepdive.qnet.ops.table import Table

Node = Conv | Linear | Add | GlobalAvgPool | ChannelScale | Table | MaxPool | AvgPool | Concat | Flatten | Pad
"""Any operator."""

__all__ = [
    "INT32_MAX",
    "INT32_MIN",
    "MAX_SHIFT",
    "Add",
    "AvgPool",
    "ChannelScale",
    "Concat",
    "Conv",
    "Flatten",
    "GlobalAvgPool",
    "Linear",
    "MaxPool",
    "Node",
    "Pad",
    "Requantize",
    "Rounding",
    "Table",
]
