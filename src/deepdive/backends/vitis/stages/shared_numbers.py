"""The numbers of a shared body: weights and scales of all blocks, and a descriptor for each of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from deepdive.backends.vitis.rom import drop_bits, needed_bits, pack_scales, pack_weights
from deepdive.backends.vitis.stages.add import ADD_BITS
from deepdive.backends.vitis.stages.code import node_of, one_mult
from deepdive.hardware.constants import (
    add_bias,
    as_conv,
    convolution_scales,
    dense_weights,
    depthwise_weights,
    pool_bias,
    table_codes,
)
from deepdive.hardware.stages import (
    ChannelScale,
    Dense,
    Depthwise,
    Fork,
    GlobalAveragePool,
    Repack,
    Requantizer,
    ResidualAdd,
    SharedBlock,
    SharedBody,
    Stage,
    Table,
    Window,
)
from deepdive.hardware.stages.external import MEMORY_WORD_BYTES
from deepdive.hardware.stages.shared_block import padded
from deepdive.hardware.stages.shared_chain import CODE_BITS, factors_of
from deepdive.qnet import Add, Conv, FeatureMap, GlobalAvgPool, Linear, QNet, Requantize
from deepdive.qnet import ChannelScale as ChannelScaleNode
from deepdive.qnet import Table as TableNode

PARTS = ("expand", "depthwise", "project")
CONSTANTS = tuple(f"{part}_{what}" for part in PARTS for what in ("weights", "scales"))
"""In the order in which they lie in external memory."""

Fields = dict[str, "int | bool | tuple[int, ...]"]


@dataclass(frozen=True, eq=False)
class BlockNumbers:
    """One block of a body: its stages by name, and what they compute with.

    Parameters
    ----------
    weights
        Centred weights of each part that the block has, int16 (words, ...), but for those that are stored already.
    """

    block: SharedBlock
    stages: dict[str, Stage]
    source: FeatureMap
    weights: dict[str, np.ndarray]
    scales: dict[str, np.ndarray]


class SharedNumbers:
    """All numbers of a body; codes are relabelled to unsigned bytes."""

    def __init__(self, body: SharedBody, net: QNet) -> None:
        self.body, self.net = body, net
        self.blocks = [self.numbers(block) for block in body.blocks]

    def numbers(self, block: SharedBlock) -> BlockNumbers:
        """Weights and scales of one block."""
        stages = {stage.name: stage for stage in self.body.chain(block)}
        weights, scales = {}, {}
        for part in PARTS:
            stage = stages.get(part)
            if not isinstance(stage, Dense | Depthwise) or (self.kept and block.repeats(part)):
                continue
            node, (x,) = self.conv(stage.node)
            if isinstance(stage, Dense):
                weights[part] = dense_weights(stage, node)
            else:
                weights[part] = depthwise_weights(stage, node, self.body.shared.kernel)
            weights[part] = weights[part].reshape(len(weights[part]), -1)
            scales[part] = pack_scales(convolution_scales(stage, node, unsigned(x)), stage.requantizer)
        return BlockNumbers(block, stages, node_of(self.net, block.nodes[0])[1][0], weights, scales)

    @property
    def kept(self) -> bool:
        """Whether all weights lie on chip."""
        return self.body.weights == "on_chip"

    def conv(self, name: str) -> tuple[Conv, tuple[FeatureMap, ...]]:
        """A convolution by name and what it reads; a linear layer is one of a map of one pixel."""
        node, types = node_of(self.net, name)
        assert isinstance(node, Conv | Linear)
        return as_conv(node), types

    @cached_property
    def weight_bits(self) -> dict[str, int]:
        """Bits of a weight in each part: what the stages say, or more where a zero point asks for it."""
        shared = self.body.shared
        least = {"expand": shared.expand_bits, "depthwise": shared.depthwise_bits, "project": shared.project_bits}
        return {
            part: max(least[part], *(needed_bits(one.weights[part]) for one in self.blocks if part in one.weights))
            for part in PARTS
            if any(part in one.weights for one in self.blocks)
        }

    @cached_property
    def packed(self) -> list[dict[str, np.ndarray]]:
        """What each block adds to the memories on chip: uint8 or uint64 (words, elements), as CONSTANTS are ordered."""
        found = []
        for one in self.blocks:
            mine: dict[str, np.ndarray] = {}
            for part, weights in one.weights.items():
                mine[f"{part}_weights"] = pack_weights(weights, self.weight_bits[part])
                mine[f"{part}_scales"] = one.scales[part]
            found.append(mine)
        return found

    @cached_property
    def roms(self) -> dict[str, np.ndarray]:
        """All blocks' words one after the other, by memory."""
        names = [name for name in CONSTANTS if any(name in mine for mine in self.packed)]
        return {name: np.concatenate([mine[name] for mine in self.packed if name in mine]) for name in names}

    @cached_property
    def tables(self) -> dict[str, np.ndarray]:
        """All tables behind each part that has some: uint8 (256 * tables, 1), codes moved up."""
        return {
            part: np.concatenate([self.table(name) for name in self.body.tables(part)])
            for part in self.body.shared.tables
        }

    def table(self, name: str | None) -> np.ndarray:
        """The codes behind one layer, uint8 (256, 1)."""
        node = node_of(self.net, name)[0] if name else None
        assert node is None or isinstance(node, TableNode)
        return table_codes(node)[:, None]

    @cached_property
    def images(self) -> list[np.ndarray]:
        """Each block's constants as they lie in external memory, uint8 (words, bytes): each row starts on a word."""
        return [np.concatenate([memory_rows(rows) for rows in mine.values()]) for mine in self.packed]

    def place(self, index: int) -> Fields:
        """Where map `index` lies: the one that comes in, or that block `index - 1` writes."""
        words = self.body.words(self.body.map_shape(index))
        ends = index in (0, len(self.body.blocks))
        if self.body.maps == "on_chip":
            return {"at": 0 if ends else self.body.inner_words(index)[0], "step": 0, "words": words}
        return {"at": self.body.map_places[index], "step": self.body.batch * words if ends else 0, "words": words}

    def descriptor(self, index: int) -> dict[str, Fields | int]:
        """One row of the table, as ``deepdive/shared_block.h`` has it; what is missing is zero."""
        one, previous = self.blocks[index], self.blocks[:index]
        block, stages, folding = one.block, list(one.stages.values()), self.body.folding
        factors = factors_of(stages)
        source, result = stages[0].inputs[0].beats, stages[-1].outputs[0].beats
        inner = padded(block.middle, folding.inner) // folding.middle_lanes
        middle, filtered = block.height * block.width * inner, math.prod(block.filtered) * inner
        pooled = inner if block.pool else filtered
        beats = {
            "expand": (source, middle),
            "depthwise": (middle, filtered),
            "pool": (filtered, pooled),
            "scale": (pooled, pooled),
            "project": (pooled, result),
            "add": (result, result),
        }
        found: dict[str, Fields | int] = {
            "source": self.place(self.body.map_read(index)),
            "target": self.place(index + 1),
            "weights_at": sum(len(image) for image in self.images[:index]) if self.body.weights == "external" else 0,
            "fork": {"beats": source, "to_a": True, "to_b": block.add is not None},
        }
        for part, has in self.has(block).items():
            found[f"{part}_route"] = {"beats": beats[part][0], "to_a": has, "to_b": not has}
            found[f"{part}_select"] = {"beats": beats[part][1], "from_a": has}
        for stage in stages:
            if not isinstance(stage, Fork):
                found[self.role(stage, block)] = self.layer(stage, one, previous)
        if any(block.scale for block in self.body.blocks):
            found["factors_route"] = {"ahead": factors.beats if factors else 0, "beats": source}
        if factors:
            found["factors"] = self.place(index)
        return found

    @staticmethod
    def has(block: SharedBlock) -> dict[str, bool]:
        """Which parts a block has."""
        return {
            "expand": block.expand is not None,
            "depthwise": block.depthwise is not None,
            "pool": block.pool is not None,
            "scale": block.scale is not None,
            "project": block.project is not None,
            "add": block.add is not None,
        }

    @staticmethod
    def role(stage: Stage, block: SharedBlock) -> str:
        """The descriptor's name of a stage."""
        past = {"align": block.expand is None, "pack": block.project is None}
        return f"{stage.name}_past" if past.get(stage.name) else stage.name

    def layer(self, stage: Stage, one: BlockNumbers, previous: list[BlockNumbers]) -> Fields:
        """What a stage is told of its layer."""
        if isinstance(stage, Repack):
            return {
                "pixels": stage.output.height * stage.output.width,
                "reads": stage.input.channels // stage.narrow_lanes,
                "writes": stage.output.channels // stage.narrow_lanes,
            }
        if isinstance(stage, Window):
            assert one.block.depthwise is not None
            x = unsigned(node_of(self.net, one.block.depthwise.node)[1][0])
            names = ("pad_top", "pad_left", "pad_bottom", "pad_right")
            return {
                "height": stage.input.height,
                "width": stage.input.width,
                "groups": stage.input.groups,
                "stride_y": stage.stride[0],
                "stride_x": stage.stride[1],
                **dict(zip(names, stage.padding, strict=True)),
                "zero_points": (x.uniform_zero_point,),
            }
        if isinstance(stage, Dense | Depthwise):
            node, _ = self.conv(stage.node)
            before = [p for p in self.stored(one, previous, stage.name) if stage.name in p.weights] if self.kept else []
            return {
                "pixels": stage.output.height * stage.output.width,
                "groups": stage.input.groups,
                **({"out_groups": stage.out_groups} if isinstance(stage, Dense) else {"turns": stage.folded.steps}),
                "weights_at": sum(len(p.weights[stage.name]) for p in before),
                "scales_at": sum(len(p.scales[stage.name]) for p in before),
                **clip(node.output, node.requantize.q_min, node.requantize.q_max),
                "half_up": node.requantize.rounding == "half_up",
            }
        if isinstance(stage, Table):
            part = stage.name.removesuffix("_table")
            row = self.body.tables(part).index(getattr(one.block, part).table)
            return {"beats": stage.output.beats, "first": -256 * row}
        if isinstance(stage, GlobalAveragePool):
            return self.pool(stage)
        if isinstance(stage, ChannelScale):
            return self.scale(stage)
        if isinstance(stage, ResidualAdd):
            return self.add(stage, one)
        return {}

    @staticmethod
    def stored(one: BlockNumbers, previous: list[BlockNumbers], part: str) -> list[BlockNumbers]:
        """The blocks whose constants of a part lie in front of a block's."""
        return previous[:-2] if one.block.repeats(part) else previous

    def pool(self, stage: GlobalAveragePool) -> Fields:
        """A global average pool."""
        node, (x,) = node_of(self.net, stage.node)
        assert isinstance(node, GlobalAvgPool)
        _ = x.uniform_zero_point  # or a refusal
        return {
            "pixels": stage.input.height * stage.input.width,
            "groups": stage.input.groups,
            "biases": (int(pool_bias(stage, unsigned(x))[0]),),
            **one_factor(node.requantize, stage.requantizer, node.output),
        }

    def scale(self, stage: ChannelScale) -> Fields:
        """A channel scale."""
        node, types = node_of(self.net, stage.node)
        assert isinstance(node, ChannelScaleNode)
        x, factors = (unsigned(one).uniform_zero_point for one in types)
        return {
            "pixels": stage.input.height * stage.input.width,
            "groups": stage.input.groups,
            "zeros_input": (x,),
            "zeros_factors": (factors,),
            **one_factor(node.requantize, stage.requantizer, node.output),
        }

    def add(self, stage: ResidualAdd, one: BlockNumbers) -> Fields:
        """The residual add: the skipped map first, whatever the network's order is."""
        node, (a, b) = node_of(self.net, stage.node)
        assert isinstance(node, Add)
        for x in (a, b):
            _ = x.uniform_zero_point  # or a refusal
        straight = node.inputs[0] == one.source.name
        return {
            "pixels": stage.output.height * stage.output.width,
            "groups": stage.output.groups,
            "mult_a": node.mult[0 if straight else 1],
            "mult_b": node.mult[1 if straight else 0],
            "biases": (int(add_bias(node, unsigned(a), unsigned(b))[0]),),
            "drop": int(drop_bits(node.shift, node.rounding, ADD_BITS)),
            **clip(node.output, node.q_min, node.q_max),
            "half_up": node.rounding == "half_up",
        }


def memory_rows(rows: np.ndarray) -> np.ndarray:
    """Rows of an on-chip memory as words of the external one, uint8 (words, bytes)."""
    data = np.ascontiguousarray(rows)
    data = data.astype("<u8").view(np.uint8) if data.dtype == np.uint64 else data
    return np.pad(data, ((0, 0), (0, -data.shape[1] % MEMORY_WORD_BYTES))).reshape(-1, MEMORY_WORD_BYTES)


def moved(x: FeatureMap) -> int:
    """What relabelling adds to a code."""
    return -x.q_min


def unsigned(x: FeatureMap) -> FeatureMap:
    """The same map in unsigned bytes: codes and zero points moved up alike."""
    return replace(x, bits=CODE_BITS, signed=False, zero_point=tuple(z + moved(x) for z in x.zero_points))


def one_factor(how: Requantize, requantizer: Requantizer, output: FeatureMap) -> Fields:
    """The one mult and shift of all channels, zero point and range."""
    return {
        **one_mult(how, requantizer),
        **clip(output, how.q_min, how.q_max),
        "half_up": how.rounding == "half_up",
    }


def clip(x: FeatureMap, q_min: int, q_max: int) -> Fields:
    """Zero point and range of what a layer writes, relabelled."""
    up = moved(x)
    return {"zero_point": x.uniform_zero_point + up, "q_min": q_min + up, "q_max": q_max + up}
