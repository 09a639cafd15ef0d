"""The stages: each one a contract (streams, folding, cycles, cost) that the C++ templates and the RTL keep."""

from typing import Annotated

from pydantic import Field

from deepdive.hardware.stages.add import ResidualAdd
from deepdive.hardware.stages.channel_scale import ChannelScale
from deepdive.hardware.stages.concat import Concat
from deepdive.hardware.stages.dense import Dense
from deepdive.hardware.stages.depthwise import Depthwise
from deepdive.hardware.stages.flatten import Flatten
from deepdive.hardware.stages.fork import Fork
from deepdive.hardware.stages.pad import Pad
from deepdive.hardware.stages.pixel_pair import PixelPair
from deepdive.hardware.stages.pool import GlobalAveragePool
from deepdive.hardware.stages.repack import Repack
from deepdive.hardware.stages.shared_block import PointwiseFolding, SharedBlock, SharedFolding
from deepdive.hardware.stages.shared_body import SharedBody
from deepdive.hardware.stages.stage import PIPELINE_CYCLES, Requantizer, Stage
from deepdive.hardware.stages.table import Table
from deepdive.hardware.stages.window import Window
from deepdive.hardware.stages.window_pool import WindowPool

AnyStage = Annotated[
    Window
    | Dense
    | Depthwise
    | ResidualAdd
    | ChannelScale
    | Concat
    | GlobalAveragePool
    | WindowPool
    | Table
    | Flatten
    | Pad
    | Fork
    | Repack
    | SharedBody,
    Field(discriminator="kind"),
]
"""Every stage there is, told apart by `kind`; what a Design's JSON holds."""

__all__ = [
    "PIPELINE_CYCLES",
    "AnyStage",
    "ChannelScale",
    "Concat",
    "Dense",
    "Depthwise",
    "Flatten",
    "Fork",
    "GlobalAveragePool",
    "Pad",
    "PixelPair",
    "PointwiseFolding",
    "Repack",
    "Requantizer",
    "ResidualAdd",
    "SharedBlock",
    "SharedBody",
    "SharedFolding",
    "Stage",
    "Table",
    "Window",
    "WindowPool",
]
