"""The convolutions that one part of a shared unit computes, one a block, with codes relabelled to unsigned bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from deepdive.hardware.constants import convolution_scales, dense_weights, depthwise_weights
from deepdive.hardware.rtl.memories import field_bits, signed_bits
from deepdive.hardware.rtl.requantizer import Rescaling
from deepdive.hardware.stages import Dense, Depthwise
from deepdive.hardware.stages.shared_chain import CODE_BITS
from deepdive.qnet import Conv, FeatureMap

MULT_BITS, DROP_BITS = 16, 6
"""Of a scale word, as in ``deepdive/requantize.h``; the bias above them."""


def unsigned(x: FeatureMap) -> FeatureMap:
    """The same map in unsigned bytes: codes and zero points moved up alike."""
    return replace(x, bits=CODE_BITS, signed=False, zero_point=tuple(z - x.q_min for z in x.zero_points))


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution of one block; `kernel` is the window's, as large as the layer's or larger."""

    stage: Dense | Depthwise
    node: Conv
    x: FeatureMap
    kernel: tuple[int, int]

    @cached_property
    def words(self) -> np.ndarray:
        """Centred weights, int16 (step, column, operand)."""
        if isinstance(self.stage, Dense):
            return dense_weights(self.stage, self.node).transpose(0, 2, 1)
        return depthwise_weights(self.stage, self.node, self.kernel).transpose(0, 2, 1)

    @cached_property
    def rescaling(self) -> Rescaling:
        """From the accumulators to codes, those moved up to begin at 0."""
        up, how = -self.node.output.q_min, self.node.requantize
        return Rescaling(
            unsigned(self.node.output),
            replace(how, q_min=how.q_min + up, q_max=how.q_max + up),
            convolution_scales(self.stage, self.node, unsigned(self.x)),
        )

    @cached_property
    def right(self) -> np.ndarray:
        """Bits that each channel's product drops before rounding: at most all but its sign, as in ``requantize.h``."""
        return np.clip(self.rescaling.right, 0, self.stage.requantizer.acc_bits + MULT_BITS)

    @property
    def span(self) -> tuple[int, int]:
        """Smallest and largest accumulator, bias included."""
        return self.node.acc_range(self.x)

    @property
    def scale_rows(self) -> int:
        """Output beats of a pixel."""
        return self.stage.output.groups


class Layers:
    """The layers of a part, None for a block that does not have it."""

    def __init__(self, layers: Sequence[Layer | None]) -> None:
        self.all = list(layers)
        self.present = [layer for layer in layers if layer]
        self.first = self.present[0]

    @cached_property
    def weight_bits(self) -> int:
        """Of a multiplier's operand."""
        return max(max(layer.stage.weight_bits, signed_bits(layer.words)) for layer in self.present)

    @cached_property
    def acc_bits(self) -> int:
        """Of an accumulator."""
        return max(layer.stage.requantizer.acc_bits for layer in self.present)

    @property
    def scale_bits(self) -> int:
        """Of mult, drop and bias of one channel."""
        return MULT_BITS + DROP_BITS + self.acc_bits

    def weight_rows(self) -> list[np.ndarray]:
        """Each block's weight words, uint8 (steps, bits), those of a column together."""
        return [field_bits(layer.words, self.weight_bits) for layer in self.present]

    def scale_rows(self) -> list[np.ndarray]:
        """Each block's words of mult, drop and bias, lane by lane, uint8 (rows, bits)."""
        rows = []
        for layer in self.present:
            scales = layer.rescaling.scales
            values = ((scales.mult, MULT_BITS), (layer.right, DROP_BITS), (scales.bias, self.acc_bits))
            fields = [field_bits(v[:, [lane]], bits) for lane in range(scales.mult.shape[1]) for v, bits in values]
            rows.append(np.concatenate(fields, axis=1))
        return rows

    @cached_property
    def least_right(self) -> int:
        """The least that any channel's product is shifted before rounding."""
        return min(int(layer.right.min()) for layer in self.present)

    @cached_property
    def most_right(self) -> int:
        """The most."""
        return max(int(layer.right.max()) for layer in self.present)

    @cached_property
    def shifted_bits(self) -> int:
        """Bits of a shifted product."""
        return max(layer.rescaling.shifted_bits(layer.span) for layer in self.present)

    def begins(self, rows: Sequence[int]) -> list[int]:
        """Where each block's rows begin when all of them lie one after the other; of one without any, anywhere."""
        found, at = [], 0
        present = iter(rows)
        for layer in self.all:
            found.append(at)
            at += next(present) if layer else 0
        return found

    def filled(self, values: Sequence[dict[str, int]]) -> list[dict[str, int]]:
        """One mapping for every block; a block without the part has the one of any other."""
        present = iter(values)
        return [next(present) if layer else dict(values[0]) for layer in self.all]
