"""The convolutions that one part of a shared unit computes, one a block, with codes relabelled to unsigned bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from deepdive.hardware.constants import as_conv, convolution_scales, dense_weights, depthwise_weights
from deepdive.hardware.rtl.mac_column import moved_up
from deepdive.hardware.rtl.memories import field_bits, signed_bits
from deepdive.hardware.rtl.requantizer import Rescaling
from deepdive.hardware.stages import Dense, Depthwise
from deepdive.hardware.stages.shared_body import DROP_BITS, MULT_BITS
from deepdive.hardware.stages.shared_chain import CODE_BITS
from deepdive.qnet import Conv, FeatureMap, Linear, Requantize


def unsigned(x: FeatureMap) -> FeatureMap:
    """The same map in unsigned bytes: codes and zero points moved up alike."""
    return replace(moved_up(x), bits=CODE_BITS)


def unsigned_codes(how: Requantize, output: FeatureMap) -> Requantize:
    """The same rounding to codes that begin at 0."""
    return replace(how, q_min=how.q_min - output.q_min, q_max=how.q_max - output.q_min)


@dataclass(frozen=True)
class Precision:
    """What a requantizer of all layers must be able to do.

    Parameters
    ----------
    acc_bits
        Of an accumulator.
    least_right, most_right
        By how much any channel's product is shifted before rounding.
    shifted_bits
        Of a shifted product.
    """

    acc_bits: int
    least_right: int
    most_right: int
    shifted_bits: int

    @property
    def scale_bits(self) -> int:
        """Of mult, drop and bias of one channel."""
        return MULT_BITS + DROP_BITS + self.acc_bits


@dataclass(frozen=True, eq=False)
class Rescaled:
    """A layer of one block as its requantizer sees it: codes from accumulators, with bias within `span`."""

    rescaling: Rescaling
    span: tuple[int, int]
    acc_bits: int

    @cached_property
    def right(self) -> np.ndarray:
        """Bits that each channel's product drops before rounding: at most all but its sign, as in ``requantize.h``."""
        return np.clip(self.rescaling.right, 0, self.acc_bits + MULT_BITS)


def precision(layers: Sequence[Rescaled]) -> Precision:
    """Of a requantizer for all of them."""
    return Precision(
        acc_bits=max(layer.acc_bits for layer in layers),
        least_right=min(int(layer.right.min()) for layer in layers),
        most_right=max(int(layer.right.max()) for layer in layers),
        shifted_bits=max(layer.rescaling.shifted_bits(layer.span) for layer in layers),
    )


class Layer(Rescaled):
    """A convolution of one block; `kernel` is the window's, as large as the layer's or larger."""

    def __init__(self, stage: Dense | Depthwise, node: Conv | Linear, x: FeatureMap, kernel: tuple[int, int]) -> None:
        conv = as_conv(node)
        how = Rescaling(
            unsigned(conv.output),
            unsigned_codes(conv.requantize, conv.output),
            convolution_scales(stage, conv, unsigned(x)),
        )
        super().__init__(how, conv.acc_range(x), stage.requantizer.acc_bits)
        self.stage, self.node, self.kernel = stage, conv, kernel

    @cached_property
    def words(self) -> np.ndarray:
        """Centred weights, int16 (step, column, operand)."""
        if isinstance(self.stage, Dense):
            return dense_weights(self.stage, self.node).transpose(0, 2, 1)
        return depthwise_weights(self.stage, self.node, self.kernel).transpose(0, 2, 1)

    @property
    def scale_rows(self) -> int:
        """Output beats of a pixel."""
        return self.stage.output.groups


class Layers:
    """The layers of a part, None for a block that does not have it.

    Parameters
    ----------
    again
        Blocks whose words are those of the block two before.
    """

    def __init__(self, layers: Sequence[Layer | None], again: Sequence[bool]) -> None:
        self.all, self.again = list(layers), list(again)
        self.present = [layer for layer in layers if layer]
        self.stored = [layer for layer, twice in zip(layers, again, strict=True) if layer and not twice]
        self.first = self.present[0]

    @cached_property
    def weight_bits(self) -> int:
        """Of a multiplier's operand."""
        return max(max(layer.stage.weight_bits, signed_bits(layer.words)) for layer in self.present)

    @cached_property
    def precision(self) -> Precision:
        """Of the requantizer."""
        return precision(self.present)

    def weight_rows(self) -> list[np.ndarray]:
        """Each block's weight words, uint8 (steps, bits), those of a column together."""
        return [field_bits(layer.words, self.weight_bits) for layer in self.stored]

    def scale_rows(self) -> list[np.ndarray]:
        """Each block's words of mult, drop and bias, lane by lane, uint8 (rows, bits)."""
        rows = []
        for layer in self.stored:
            scales = layer.rescaling.scales
            values = ((scales.mult, MULT_BITS), (layer.right, DROP_BITS), (scales.bias, self.precision.acc_bits))
            fields = [field_bits(v[:, [lane]], bits) for lane in range(scales.mult.shape[1]) for v, bits in values]
            rows.append(np.concatenate(fields, axis=1))
        return rows

    def begins(self, rows: Sequence[int]) -> list[int]:
        """Where each block's rows begin when those stored lie one after the other; of one without any, anywhere."""
        found: list[int] = []
        at = 0
        stored = iter(rows)
        for index, layer in enumerate(self.all):
            found.append(found[index - 2] if self.again[index] else at)
            at += next(stored) if layer and not self.again[index] else 0
        return found

    def filled(self, values: Sequence[dict[str, int]]) -> list[dict[str, int]]:
        """One mapping for every block; a block without the part has the one of any other."""
        present = iter(values)
        return [next(present) if layer else dict(values[0]) for layer in self.all]
