"""Bit widths, as data: for the network, its ends, and layers by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from deepdive.errors import DeepDiveError, nearest
from deepdive.quantization.modules import Bits
from deepdive.quantization.plan import ConvLayer, Layer
from deepdive.quantization.quantizers import LEARNINGS, Learning, check_bits


@dataclass(frozen=True)
class QConfig:
    """How many bits every layer gets.

    Parameters
    ----------
    weights, activations
        2..8, of all layers that nothing below speaks of.
    end_bits
        Weights of the first and the last layer with weights, and the network's output.
    overrides
        Bits for layers whose dotted name matches a pattern such as ``"features.3.*"``; the first match counts.
    learning
        While training, scales are learned (``lsq``, Esser 2020) or follow the extremes (``ema``, Jacob 2018).
    """

    weights: int = 8
    activations: int = 8
    end_bits: int = 8
    overrides: Mapping[str, Bits] = field(default_factory=dict)
    learning: Learning = "lsq"

    def __post_init__(self) -> None:
        if self.learning not in LEARNINGS:
            raise DeepDiveError(f"Scales cannot follow training by '{self.learning}'; choose {' or '.join(LEARNINGS)}.")
        check_bits("Weights", self.weights)
        check_bits("Activations", self.activations)
        check_bits("The first and last layer", self.end_bits)
        for bits in self.overrides.values():
            check_bits("Weights", bits.weights)
            check_bits("Activations", bits.activations)

    def assign(self, layers: Sequence[Layer]) -> dict[str, Bits]:
        """Bits by layer name.

        Raises
        ------
        DeepDiveError
            When a pattern matches no layer.
        """
        for pattern in self.overrides:
            if not any(fnmatchcase(layer.name, pattern) for layer in layers):
                raise DeepDiveError(
                    f"No layer matches the pattern '{pattern}'{nearest(pattern, [layer.name for layer in layers])}."
                )
        weighted = [layer.name for layer in layers if isinstance(layer, ConvLayer)]
        ends = {*weighted[:1], *weighted[-1:]}
        return {layer.name: self.of(layer.name, layer.name in ends, layer is layers[-1]) for layer in layers}

    def of(self, name: str, is_end: bool, is_output: bool) -> Bits:
        """Bits of one layer."""
        for pattern, bits in self.overrides.items():
            if fnmatchcase(name, pattern):
                return bits
        return Bits(
            self.end_bits if is_end else self.weights,
            self.end_bits if is_output else self.activations,
        )
