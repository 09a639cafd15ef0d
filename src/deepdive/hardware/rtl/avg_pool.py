"""Mean of a window in RTL: an adder tree a lane, then the requantizers."""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Array, C, Cat, Module, Signal, Value

from deepdive.hardware.constants import Scales
from deepdive.hardware.rtl.adder_tree import AdderTree
from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.counters import delayed
from deepdive.hardware.rtl.raster import add_raster
from deepdive.hardware.rtl.requantizer import Accumulators, RequantizerComponent, Rescaling
from deepdive.hardware.stages.summing import tree_levels
from deepdive.hardware.stages.window_pool import WindowPool
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops import AvgPool

TREE_RADIX = 2


class AveragePoolComponent(StageComponent):
    """Takes the windows of `lanes` channels, padded with the zero point, and gives their means, a beat a cycle.

    The zero points of all taps are folded into the requantizers' bias. Where padding does not count, mult and shift
    are those of the number of taps inside the map, which follows from the window's row and column.
    """

    def __init__(self, stage: WindowPool, node: AvgPool, x: FeatureMap) -> None:
        super().__init__(stage)
        assert stage.requantizer is not None
        self.stage = stage
        self.acc_bits = stage.requantizer.acc_bits
        rows, columns = taps_inside(node, x)
        if len(node.requantize.mult) == 1:
            rows, columns = np.zeros_like(rows), np.zeros_like(columns)
        self.requantizer = WindowRequantizer(
            Accumulators(stage.output, self.acc_bits, node.acc_range(x)), node, x, (rows, columns), stage.name
        )
        self.roms = self.requantizer.roms

    def elaborate(self, platform: object) -> Module:
        m = Module()
        source = self.stage.input
        advance = Signal()
        tree = AdderTree(m, advance, self.acc_bits, TREE_RADIX)
        sums = []
        for lane in range(source.lanes):
            codes = [
                self.input0.payload.word_select(tap * source.lanes + lane, source.bits) for tap in range(source.taps)
            ]
            signed = [code.as_signed() if source.signed else Cat(code, C(0, 1)).as_signed() for code in codes]
            taps = [tree.register(code, f"code{lane}_{tap}") for tap, code in enumerate(signed)]
            total = Signal(self.acc_bits, name=f"total{lane}")
            m.d.comb += total.eq(tree.total(taps, f"sum{lane}_"))
            sums.append(total)
        m.submodules.requantizer = requantizer = self.requantizer
        steps = 1 + tree_levels(source.taps, TREE_RADIX)
        m.d.comb += [
            advance.eq(~self.output0.valid | self.output0.ready),
            self.input0.ready.eq(advance),
            requantizer.enable.eq(advance),
            requantizer.valid.eq(delayed(m, self.input0.valid, steps, advance, "valid")),
            requantizer.acc.eq(Cat(sums)),
            self.output0.valid.eq(requantizer.output_valid),
            self.output0.payload.eq(requantizer.codes),
        ]
        return m


class WindowRequantizer(RequantizerComponent):
    """Requantizers whose constants depend on the window's row, column and channels.

    Rows with as many taps inside the map are of one kind, and so are columns. The address of the constants is the
    beat's group of channels, then the kind of its column, then that of its row, each in bits of its own.

    Parameters
    ----------
    inside
        Of each row of windows and of each column: how many of a window's rows, columns count; zeros when all alike.
    """

    def __init__(
        self, acc: Accumulators, node: AvgPool, x: FeatureMap, inside: tuple[np.ndarray, np.ndarray], name: str
    ) -> None:
        (row_counts, self.rows), (column_counts, self.columns) = (np.unique(i, return_inverse=True) for i in inside)
        how, taps = node.requantize, node.kernel[0] * node.kernel[1]
        full = np.broadcast_to(x.zero_point_array.astype(np.int64), (x.shape[2],))
        zeros = np.pad(full, (0, acc.output.channels - len(full)), mode="edge")
        by_group = zeros.reshape(acc.output.groups, acc.output.lanes)
        if (by_group == by_group[0]).all():
            by_group = by_group[:1]
        self.group_bits = bits_of(len(by_group))
        self.column_bits = bits_of(len(column_counts))
        # Addresses that no beat has repeat the last of their kind.
        group, column, row = (
            np.minimum(np.arange(1 << bits_of(size)), size - 1)
            for size in (len(by_group), len(column_counts), len(row_counts))
        )
        count = np.maximum(np.multiply.outer(row_counts[row], column_counts[column]), 1)
        shape = (len(row), len(column), len(group), acc.output.lanes)
        scales = Scales(
            bias=np.broadcast_to(-taps * by_group[group], shape).reshape(-1, shape[-1]),
            mult=np.broadcast_to(how.mult.astype(np.int64)[count - 1][..., None, None], shape).reshape(-1, shape[-1]),
            shift=np.broadcast_to(how.shift.astype(np.int64)[count - 1][..., None, None], shape).reshape(-1, shape[-1]),
        )
        super().__init__(acc, Rescaling(node.output, how, scales), name)

    def _address(self, m: Module) -> Value:
        place = add_raster(m, self.source.output, self.enable & self.valid)
        return Cat(
            place.group[: self.group_bits],
            kind_at(self.columns, place.column, self.column_bits),
            kind_at(self.rows, place.row, bits_of(int(self.rows.max()) + 1)),
        )


def bits_of(count: int) -> int:
    """Bits that tell `count` things apart; none for one."""
    return (count - 1).bit_length()


def kind_at(kinds: np.ndarray, position: Signal, bits: int) -> Value:
    """The entry of `kinds` at `position`, in `bits` bits."""
    return Array(C(int(kind), bits) for kind in kinds)[position][:bits] if bits else C(0, 0)


def taps_inside(node: AvgPool, x: FeatureMap) -> tuple[np.ndarray, np.ndarray]:
    """Of each row of windows, and of each column: how many of a window's rows, columns lie inside the map; int64."""
    found = []
    for axis in (0, 1):
        first = np.arange(node.output.shape[axis]) * node.stride[axis] - node.padding[axis]
        found.append(np.minimum(first + node.kernel[axis], x.shape[axis]) - np.maximum(first, 0))
    return found[0], found[1]
