"""The convolutions of a shared unit: as the streamed ones, with sizes of the block at hand and weights from outside."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value
from amaranth.lib.wiring import In, Member, Out

from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.dense import DenseComponent, dense_limits
from deepdive.hardware.rtl.depthwise import DepthwiseComponent, depthwise_limits
from deepdive.hardware.rtl.limits import Limits
from deepdive.hardware.rtl.mac_column import MacShape
from deepdive.hardware.rtl.shared_layers import Layer, Layers
from deepdive.hardware.rtl.shared_requantizer import SharedRequantizer, requantizer_limits
from deepdive.hardware.stages import Dense, Depthwise
from deepdive.hardware.stages.shared_chain import CODE_BITS


def word_ports(layers: Layers, shape: MacShape, columns: int) -> dict[str, Member]:
    """Where words come from: they follow their address, counted from the layer's first, by a cycle of `enable`."""
    steps = max(len(layer.words) for layer in layers.present)
    rows = max(layer.scale_rows for layer in layers.present)
    return {
        "enable": Out(1),
        "weights_address": Out(range(max(steps, 2))),
        "weights_word": In(columns * shape.inputs * shape.w_bits),
        "scales_address": Out(range(max(rows, 2))),
        "scales_word": In(layers.first.stage.output.lanes * layers.precision.scale_bits),
    }


def scaled(layer: Layer) -> dict[str, int]:
    """What its requantizer is told."""
    return {"last_scale": layer.scale_rows - 1, **requantizer_limits(layer)}


class Outside(StageComponent):
    """A convolution whose words come from outside."""

    requantizer: SharedRequantizer

    def _lay_out(self, layers: Layers, shape: MacShape, columns: int, sizes: list[dict[str, int]]) -> None:
        """Ports, limits, multipliers and requantizer for all of `layers`, `columns` sums of products a step."""
        numbers = Limits(layers.filled(sizes))
        StageComponent.__init__(self, layers.first.stage, numbers, word_ports(layers, shape, columns))
        self.shape, self.layers = shape, layers
        self.columns.add(shape)
        lanes = layers.first.stage.output.lanes
        self.requantizer = SharedRequantizer(layers.precision, lanes, self.limits(), numbers.most("last_scale") + 1)

    def _hand_through(self, m: Module) -> None:
        m.d.comb += [
            self.enable.eq(~self.output0.valid | self.output0.ready),
            self.scales_address.eq(self.requantizer.scales_address),
            self.requantizer.scales.eq(self.scales_word),
        ]

    def _word(self, m: Module, advance: Value, address: Signal) -> Value:
        m.d.comb += self.weights_address.eq(address)
        return self.weights_word


class SharedDense(Outside, DenseComponent):
    """One array of multipliers for a pointwise layer of every block."""

    def __init__(self, layers: Layers) -> None:
        stage = layers.first.stage
        assert isinstance(stage, Dense)
        shape = MacShape(
            inputs=stage.input.lanes,
            x_bits=CODE_BITS,
            x_signed=False,
            w_bits=layers.weight_bits,
            acc_bits=layers.precision.acc_bits,
            accumulate=any(layer.stage.input.groups > 1 for layer in layers.present),
            field=stage.pair_field if stage.packed else 0,
            cascade=stage.cascade,
        )
        sizes = [
            {**dense_limits(layer.stage), **scaled(layer)} for layer in layers.present if isinstance(layer.stage, Dense)
        ]
        self._lay_out(layers, shape, stage.out_parallel, sizes)
        self.stage = stage

    def elaborate(self, platform: object) -> Module:
        m = DenseComponent.elaborate(self, platform)
        self._hand_through(m)
        return m


class SharedDepthwise(Outside, DepthwiseComponent):
    """Multipliers for the depthwise layer of every block, a filter smaller than the window in the middle of zeros."""

    def __init__(self, layers: Layers) -> None:
        stage = layers.first.stage
        assert isinstance(stage, Depthwise)
        shape = MacShape(
            inputs=stage.folded.parallel,
            x_bits=CODE_BITS,
            x_signed=False,
            w_bits=layers.weight_bits,
            acc_bits=layers.precision.acc_bits,
            accumulate=stage.folded.most_steps > 1,
            fabric=stage.fabric,
            cascade=stage.cascaded,
        )
        sizes = [
            {**depthwise_limits(layer.stage), **scaled(layer)}
            for layer in layers.present
            if isinstance(layer.stage, Depthwise)
        ]
        self._lay_out(layers, shape, stage.input.lanes, sizes)
        self.stage = stage

    def elaborate(self, platform: object) -> Module:
        m = DepthwiseComponent.elaborate(self, platform)
        self._hand_through(m)
        return m
