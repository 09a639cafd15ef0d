"""Depthwise in RTL: a column of `taps` multipliers a lane."""

from __future__ import annotations

from amaranth.hdl import Cat, ClockSignal, Instance, Module, ResetSignal, Signal, Value

from deepdive.hardware.constants import convolution_scales, depthwise_weights
from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.counters import counter, delayed, next_until
from deepdive.hardware.rtl.limits import Limits
from deepdive.hardware.rtl.mac_column import MacShape
from deepdive.hardware.rtl.memories import address_bits, field_bits, read_rom, rom_image, signed_bits
from deepdive.hardware.rtl.requantizer import Accumulators, RequantizerComponent, Rescaling
from deepdive.hardware.stages.depthwise import Depthwise
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops import Conv


class DepthwiseComponent(StageComponent):
    """Takes the windows of `lanes` channels and gives their outputs, a beat a cycle."""

    def __init__(self, stage: Depthwise, node: Conv, x: FeatureMap) -> None:
        super().__init__(stage, Limits([{"last_group": stage.input.groups - 1}]))
        self.stage = stage
        words = depthwise_weights(stage, node).transpose(0, 2, 1)  # (group, lane, tap)
        self.shape = MacShape(
            inputs=stage.input.taps,
            x_bits=stage.input.bits,
            x_signed=stage.input.signed,
            w_bits=signed_bits(words),
            acc_bits=stage.requantizer.acc_bits,
            accumulate=False,
            fabric=stage.fabric,
        )
        self.columns.add(self.shape)
        memory = self.memory("weights")
        self.weights = rom_image(f"{stage.name}_weights", memory, [field_bits(words, self.shape.w_bits)])
        self.requantizer = RequantizerComponent(
            Accumulators(stage.output, self.shape.acc_bits, node.acc_range(x)),
            Rescaling(node.output, node.requantize, convolution_scales(stage, node, x)),
            stage.name,
        )
        self.roms = [self.weights, *self.requantizer.roms]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage, shape = self.stage, self.shape
        advance, fire = Signal(), Signal()
        m.d.comb += [
            advance.eq(~self.output0.valid | self.output0.ready),
            fire.eq(advance & self.input0.valid),
            self.input0.ready.eq(advance),
        ]
        groups = self.numbers.most("last_group") + 1
        group = counter(groups, "group")
        windows = Signal(stage.input.beat_bits, reset_less=True)
        with m.If(fire):
            m.d.sync += [group.eq(next_until(group, self.limits()["last_group"])), windows.eq(self.input0.payload)]
        address = Signal(address_bits(groups))
        m.d.comb += address.eq(group)
        word = self._word(m, advance, address)
        sums = []
        for lane in range(stage.input.lanes):
            window = Cat(
                windows.word_select(tap * stage.input.lanes + lane, shape.x_bits) for tap in range(shape.inputs)
            )
            total = Signal(shape.acc_bits, name=f"sum{lane}")
            m.submodules[f"column{lane}"] = Instance(
                shape.name,
                i_clk=ClockSignal(),
                i_rst=ResetSignal(),
                i_enable=advance,
                i_x=window,
                i_w=word.word_select(lane, shape.inputs * shape.w_bits),
                o_acc=total,
            )
            sums.append(total)
        m.submodules.requantizer = requantizer = self.requantizer
        m.d.comb += [
            requantizer.enable.eq(advance),
            requantizer.valid.eq(delayed(m, fire, 1 + shape.latency, advance, "valid")),
            requantizer.acc.eq(Cat(sums)),
            self.output0.valid.eq(requantizer.output_valid),
            self.output0.payload.eq(requantizer.codes),
        ]
        return m

    def _word(self, m: Module, advance: Value, address: Signal) -> Value:
        """The weights of the group that had this address."""
        return read_rom(m, self.weights, enable=advance, address=address)
