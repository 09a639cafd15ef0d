"""From a stage of the contract and the network to its component."""

from __future__ import annotations

from deepdive.errors import DeepDiveError
from deepdive.hardware.rtl.add import ResidualAddComponent, add_limits
from deepdive.hardware.rtl.avg_pool import AveragePoolComponent
from deepdive.hardware.rtl.channel_scale import ChannelScaleComponent
from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.concat import ConcatComponent
from deepdive.hardware.rtl.dense import DenseComponent
from deepdive.hardware.rtl.depthwise import DepthwiseComponent
from deepdive.hardware.rtl.depthwise_pairs import DepthwisePairsComponent
from deepdive.hardware.rtl.flatten import FlattenComponent
from deepdive.hardware.rtl.fork import ForkComponent
from deepdive.hardware.rtl.limits import Limits
from deepdive.hardware.rtl.max_pool import MaxPoolComponent
from deepdive.hardware.rtl.pad import PadComponent
from deepdive.hardware.rtl.pool import GlobalAveragePoolComponent
from deepdive.hardware.rtl.repack import RepackComponent
from deepdive.hardware.rtl.shared_body import SharedBodyComponent
from deepdive.hardware.rtl.table import TableComponent
from deepdive.hardware.rtl.window import WindowComponent
from deepdive.hardware.stages import (
    ChannelScale,
    Concat,
    Dense,
    Depthwise,
    Fork,
    GlobalAveragePool,
    Pad,
    Repack,
    ResidualAdd,
    SharedBody,
    Stage,
    Table,
    Window,
)
from deepdive.hardware.stages.flatten import Flatten
from deepdive.hardware.stages.window_pool import WindowPool
from deepdive.qnet import Add, AvgPool, Conv, GlobalAvgPool, Linear, QNet, ops


def stage_component(stage: Stage, net: QNet, pause: int = 0) -> StageComponent:
    """The RTL of `stage`, its constants taken from the node of `net` that it names.

    Between two frames its input may pause for `pause` clock cycles, though the next frame is on its way.

    Raises
    ------
    DeepDiveError
        When there is no RTL for the stage, or its node is of another kind.
    """
    if isinstance(stage, Window):
        return WindowComponent(stage, pause)
    if isinstance(stage, Fork):
        return ForkComponent(stage)
    if isinstance(stage, Concat):
        return ConcatComponent(stage)
    if isinstance(stage, Repack):
        return RepackComponent(stage)
    if isinstance(stage, Flatten):
        return FlattenComponent(stage)
    if isinstance(stage, Pad):
        return PadComponent(stage)
    if isinstance(stage, WindowPool) and stage.kind == "max_pool":
        return MaxPoolComponent(stage)
    if isinstance(stage, SharedBody):
        return SharedBodyComponent(stage, net)
    node = next((node for node in net.nodes if node.name == getattr(stage, "node", None)), None)
    if node is not None:
        types = net.inputs_of(node)
        if isinstance(stage, Dense) and isinstance(node, Conv | Linear):
            return DenseComponent(stage, node if isinstance(node, Conv) else node.as_conv(), types[0])
        if isinstance(stage, Depthwise) and isinstance(node, Conv):
            return (DepthwisePairsComponent if stage.pixel_pair else DepthwiseComponent)(stage, node, types[0])
        if isinstance(stage, ResidualAdd) and isinstance(node, Add):
            return ResidualAddComponent(stage, Limits([add_limits(node, (types[0], types[1]))]))
        if isinstance(stage, ChannelScale) and isinstance(node, ops.ChannelScale):
            return ChannelScaleComponent(stage, node, (types[0], types[1]))
        if isinstance(stage, Table) and isinstance(node, ops.Table):
            return TableComponent(stage, node)
        if isinstance(stage, WindowPool) and isinstance(node, AvgPool):
            return AveragePoolComponent(stage, node, types[0])
        if isinstance(stage, GlobalAveragePool) and isinstance(node, GlobalAvgPool):
            return GlobalAveragePoolComponent(stage, node, types[0])
    raise DeepDiveError(
        f"Stage '{stage.name}' ({stage.kind}) has no RTL for node '{getattr(stage, 'node', None)}'; "
        "use the HLS backend."
    )
