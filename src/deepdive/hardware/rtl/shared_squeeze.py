"""Pool and scale of a shared unit: as the streamed ones, with sizes, zero points and mult of the block at hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed

from deepdive.errors import DeepDiveError
from deepdive.hardware.constants import Scales, pool_bias
from deepdive.hardware.rtl.channel_scale import ChannelScaleComponent, product_range, scale_limits
from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.limits import Limits
from deepdive.hardware.rtl.memories import RamPorts
from deepdive.hardware.rtl.pool import GlobalAveragePoolComponent, pool_limits
from deepdive.hardware.rtl.requantizer import Rescaling
from deepdive.hardware.rtl.shared_layers import Rescaled, precision, unsigned, unsigned_codes
from deepdive.hardware.rtl.shared_requantizer import SharedRequantizer, requantizer_limits
from deepdive.hardware.stages import ChannelScale, GlobalAveragePool
from deepdive.hardware.stages.shared_body import DROP_BITS, MULT_BITS
from deepdive.qnet import ChannelScale as ChannelScaleNode
from deepdive.qnet import FeatureMap, GlobalAvgPool, QNet, Requantize

Kind = TypeVar("Kind", GlobalAvgPool, ChannelScaleNode)


class OneFactor(StageComponent):
    """A part whose requantizers have one bias, mult and drop for all channels, out of the descriptor."""

    requantizer: SharedRequantizer

    def _lay_out(
        self,
        stage: GlobalAveragePool | ChannelScale,
        layers: Sequence[Rescaled],
        sizes: Sequence[dict[str, int] | None],
    ) -> None:
        """Limits of every block, those without the part with any other's, and requantizers for all of `layers`."""
        told = iter([{**size, **factor_limits(one)} for size, one in zip(filter(None, sizes), layers, strict=True)])
        blocks = [next(told) if size else None for size in sizes]
        some = next(block for block in blocks if block)
        StageComponent.__init__(self, stage, Limits([block or some for block in blocks]))
        self.acc_bits = precision(layers).acc_bits
        self.requantizer = SharedRequantizer(precision(layers), stage.output.lanes, self.limits())

    def _tell(self, m: Module) -> None:
        """All lanes the same."""
        fields = []
        for name, shape in (("mult", MULT_BITS), ("drop", DROP_BITS), ("bias", signed(self.acc_bits))):
            field = Signal(shape, name=f"{name}_of_all")
            m.d.comb += field.eq(self.limits()[name])
            fields.append(field)
        m.d.comb += self.requantizer.scales.eq(Cat(fields * self.requantizer.lanes))


class SharedPool(OneFactor, GlobalAveragePoolComponent):
    """One set of sums for the pool of every block; None for a block without."""

    def __init__(self, stages: Sequence[GlobalAveragePool | None], net: QNet) -> None:
        present = [stage for stage in stages if stage]
        layers = []
        for stage in present:
            node, (x,) = found(GlobalAvgPool, stage.node, net)
            how = rescaling(node.requantize, node.output, int(pool_bias(stage, unsigned(x))[0]))
            layers.append(Rescaled(how, node.acc_range(x), stage.requantizer.acc_bits))
        self._lay_out(present[0], layers, [pool_limits(stage) if stage else None for stage in stages])
        self.stage = present[0]

    def elaborate(self, platform: object) -> Module:
        m = GlobalAveragePoolComponent.elaborate(self, platform)
        self._tell(m)
        return m

    def _kept(self, m: Module, sums: RamPorts) -> Value:
        """Where a pixel may be one beat, sums are read in the cycle in which they are written: those count."""
        if self.numbers.most("last_group") == 0 or self.numbers.least("last_group") > 0:
            return sums.read_data
        again, written = Signal(name="again"), Signal.like(sums.write_data, name="written", reset_less=True)
        with m.If(sums.read_enable):
            m.d.sync += [
                again.eq(sums.write_enable & (sums.write_address == sums.read_address)),
                written.eq(sums.write_data),
            ]
        return Mux(again, written, sums.read_data)


class SharedScale(OneFactor, ChannelScaleComponent):
    """One set of multipliers for the scale of every block; None for a block without."""

    def __init__(self, stages: Sequence[ChannelScale | None], net: QNet) -> None:
        present = [stage for stage in stages if stage]
        layers, zero_points = [], []
        for stage in present:
            node, (x, factors) = found(ChannelScaleNode, stage.node, net)
            how = rescaling(node.requantize, node.output, 0)
            layers.append(Rescaled(how, product_range((x, factors)), stage.requantizer.acc_bits))
            zero_points.append([unsigned(one).uniform_zero_point for one in (x, factors)])
        zeros = iter(zero_points)
        self._lay_out(present[0], layers, [scale_limits(stage, next(zeros)) if stage else None for stage in stages])
        self.stage = present[0]

    def elaborate(self, platform: object) -> Module:
        m = ChannelScaleComponent.elaborate(self, platform)
        self._tell(m)
        return m


def found(kind: type[Kind], name: str, net: QNet) -> tuple[Kind, tuple[FeatureMap, ...]]:
    """A node by name, and what it reads."""
    node = next(node for node in net.nodes if node.name == name)
    if not isinstance(node, kind):
        raise DeepDiveError(f"Node '{name}' is no {kind.__name__}; compile the network again.")
    return node, net.inputs_of(node)


def rescaling(how: Requantize, output: FeatureMap, bias: int) -> Rescaling:
    """To codes that begin at 0, every channel alike."""
    bias_, mult, shift = (np.full((1, 1), int(value), dtype=np.int64) for value in (bias, how.mult[0], how.shift[0]))
    return Rescaling(unsigned(output), unsigned_codes(how, output), Scales(bias=bias_, mult=mult, shift=shift))


def factor_limits(layer: Rescaled) -> dict[str, int]:
    """Bias, mult and drop of all channels, and what else the requantizer is told."""
    scales = layer.rescaling.scales
    one = {"bias": int(scales.bias[0, 0]), "mult": int(scales.mult[0, 0]), "drop": int(layer.right[0, 0])}
    return {**one, **requantizer_limits(layer)}
