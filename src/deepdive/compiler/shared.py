"""From operations to a shared body: which consecutive layers are blocks, and the unit that computes them in turn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from deepdive.compiler.plan import Edge, Operation, UnitPlan, Way
from deepdive.errors import UnsupportedLayer
from deepdive.hardware.stages import Repack, SharedBlock, SharedBody, SharedFolding
from deepdive.hardware.stages.shared_block import SharedDepthwise, SharedLayer, SharedPointwise
from deepdive.hardware.stream import Stream
from deepdive.hardware.units import Unit

Role = Literal["expand", "project"]
POINTWISE = ("pointwise", "linear")
"""Operations that are the same on a map of one pixel."""
ONE_FACTOR = {"global_avg_pool": "pool", "channel_scale": "scale"}
"""Operations with one mult and shift for all channels, and what a block calls them."""


@dataclass(frozen=True)
class Sharing:
    """How a shared body computes its blocks; see `SharedBody`.

    Parameters
    ----------
    lone
        On which multipliers a pointwise layer on its own runs.
    """

    folding: SharedFolding
    lone: Role = "expand"
    maps: Literal["external", "on_chip"] = "external"
    weights: Literal["external", "on_chip"] = "external"
    weight_buffers: Literal[1, 2] = 2
    port_cycles: int = 1
    batch: int = 1


def shared_unit(name: str, plans: Sequence[UnitPlan], how: Sharing, source: Stream | None = None) -> Unit:
    """One unit for the blocks of consecutive plans.

    Parameters
    ----------
    source
        The stream that brings the first plan's input, when it is there already; by default as many lanes as fit. One
        whose lanes do not fit words of memory is repacked first.

    Raises
    ------
    UnsupportedLayer
        Naming an operation that no shared body computes.
    """
    lanes = how.folding.memory_lanes
    taken = source or end(plans[0].operations[0].inputs[0], lanes)
    front: tuple[Repack, ...] = ()
    if lanes % taken.lanes and taken.lanes % lanes:
        fitting = {"name": f"{name}_repack_out", "lanes": math.gcd(taken.lanes, lanes)}
        front = (Repack(name=f"{name}_repack", input=taken, output=taken.model_copy(update=fitting)),)
        taken = front[0].output
    body = SharedBody(
        name=f"{name}_shared",
        input=taken,
        output=end(plans[-1].operations[-1].outputs[0], lanes),
        folding=how.folding,
        blocks=tuple(block for plan in plans for block in shared_blocks(plan.operations, how.lone)),
        maps=how.maps,
        weights=how.weights,
        weight_buffers=how.weight_buffers,
        port_cycles=how.port_cycles,
        batch=how.batch,
    )
    blocks = tuple(block for plan in plans for block in plan.blocks)
    return Unit(name=name, kind="body", input_map=plans[0].input_map, blocks=blocks, stages=(*front, body))


def end(edge: Edge, memory_lanes: int) -> Stream:
    """A stream at an end of the body: as many lanes as divide both its channels and a word of memory."""
    return edge.stream(Way(math.gcd(edge.channels, memory_lanes)))


def shareable(plan: UnitPlan) -> bool:
    """Whether a shared body can compute all of a plan."""
    try:
        blocks_of(plan.operations)
    except UnsupportedLayer:
        return False
    return True


def shared_blocks(operations: Sequence[Operation], lone: Role = "expand") -> tuple[SharedBlock, ...]:
    """The blocks of consecutive operations; pointwise layers on their own run on the multipliers of `lone`.

    Raises
    ------
    UnsupportedLayer
        Naming an operation that no shared body computes.
    """
    return tuple(placed(block, lone) for block in blocks_of(operations))


def is_lone(block: SharedBlock) -> bool:
    """Whether it is nothing but a pointwise layer, which any pointwise part can compute."""
    return bool(block.expand) and not (block.depthwise or block.project or block.add)


def placed(block: SharedBlock, lone: Role) -> SharedBlock:
    """A lone pointwise layer on the given part; any other block as it is."""
    return block.model_copy(update={"expand": None, lone: block.expand}) if is_lone(block) else block


def blocks_of(operations: Sequence[Operation]) -> tuple[SharedBlock, ...]:
    """Blocks as long as they get: a residual add, or else a second pointwise or depthwise layer ends one.

    One with squeeze-excite is three.
    """
    blocks: list[SharedBlock] = []
    rest = list(operations)
    while rest:
        taken = next_block(rest)
        blocks += excited(rest[:taken])
        del rest[:taken]
    return tuple(blocks)


def next_block(operations: Sequence[Operation]) -> int:
    """How many of the operations the first block takes."""
    kinds = [operation.kind for operation in operations]
    at = 1 if kinds[0] == "fork" else 0
    expanded = behind(kinds, at, "pointwise")
    squeezed = at
    if kinds[expanded : expanded + 2] == ["window", "depthwise"]:
        at = behind(kinds, expanded, "window", "depthwise")
        squeezed = behind_branch(operations, at)
    at = squeezed if squeezed > at else behind(kinds, at, "pointwise")
    if kinds[0] == "fork":
        at += 1
        if at > len(kinds) or kinds[at - 1] != "add":
            refuse(operations[min(at, len(operations)) - 1])
    if at == 0:
        refuse(operations[0])
    return at


def behind_branch(operations: Sequence[Operation], at: int) -> int:
    """The place behind a squeeze-excite, if it begins at `at`; else `at`. A pointwise layer must come next."""
    kinds = ["pointwise" if operation.kind in POINTWISE else operation.kind for operation in operations]
    if kinds[at : at + 2] != ["fork", "global_avg_pool"]:
        return at
    end = at + 2
    for kind in ("pointwise", "pointwise", "channel_scale", "pointwise"):
        if kinds[end : end + 1] != [kind]:
            refuse(operations[min(end, len(operations) - 1)])
        end = behind(kinds, end, kind) if kind == "pointwise" else end + 1
    return end


def behind(kinds: Sequence[str], at: int, *part: str) -> int:
    """The place behind a part and its table, if the part begins at `at`; else `at`."""
    end = at + len(part)
    if tuple(kinds[at:end]) != part:
        return at
    return end + (kinds[end : end + 1] == ["table"])


def refuse(operation: Operation) -> None:
    """Say which operation no shared body computes."""
    raise UnsupportedLayer(
        f"Stage '{operation.name}' ({operation.kind}) cannot be part of a shared body; those compute pointwise and "
        "depthwise layers, tables behind them, squeeze-excite between them, and a residual add around them. "
        "Let it stay streamed."
    )


def excited(operations: Sequence[Operation]) -> Iterator[SharedBlock]:
    """The blocks out of the operations that `next_block` takes."""
    kinds = [operation.kind for operation in operations]
    if "global_avg_pool" not in kinds:
        yield described(operations)
        return
    pool, scale = kinds.index("global_avg_pool"), kinds.index("channel_scale")
    before, branch, after = operations[: pool - 1], operations[pool + 1 : scale], operations[scale + 1 :]
    main = before[1:] if kinds[0] == "fork" else before
    yield described([*main, operations[pool]])
    yield described(branch)
    yield described([*before, operations[scale], *after])


def described(operations: Sequence[Operation]) -> SharedBlock:
    """A block out of its operations, in order of the data flow."""
    source = operations[0].inputs[0]
    values: dict[str, Any] = {}
    window: Operation | None = None
    part = ""
    for operation in operations:
        if operation.kind == "window":
            window = operation
        elif operation.kind == "depthwise":
            assert window is not None
            geometry = {key: window.fields[key] for key in ("kernel", "stride", "padding")}
            part = "depthwise"
            values[part] = SharedDepthwise(**geometry, **layer(operation))
        elif operation.kind in POINTWISE:
            if operation.fields.get("conv_groups", 1) != 1:
                refuse(operation)
            channels = {"in_channels": operation.inputs[0].channels, "out_channels": operation.outputs[0].channels}
            part = "project" if "depthwise" in values or "expand" in values else "expand"
            values[part] = SharedPointwise.model_validate({**channels, **layer(operation)})
        elif operation.kind in ONE_FACTOR:
            if operation.fields["requantizer"].rounding == "half_even":
                refuse(operation)
            how = {key: operation.fields[key] for key in ("node", "requantizer")}
            values[ONE_FACTOR[operation.kind]] = SharedLayer.model_validate(how)
        elif operation.kind == "table":
            values[part] = values[part].model_copy(update={"table": operation.fields["node"]})
        elif operation.kind == "add":
            values["add"] = operation.fields["node"]
    return SharedBlock.model_validate(
        {"height": source.height, "width": source.width, "channels": source.channels, **values}
    )


def layer(operation: Operation) -> dict[str, Any]:
    """What a convolution's description and its operation have in common."""
    return {key: operation.fields[key] for key in ("node", "weight_bits", "requantizer")}
