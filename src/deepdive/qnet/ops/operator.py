"""What all operators have: maps that they read, one that they write."""

from __future__ import annotations

from dataclasses import dataclass

from deepdive.qnet.feature_map import FeatureMap


@dataclass(frozen=True, eq=False)
class OneInput:
    """An operator that reads the feature map of name `input`."""

    input: str
    output: FeatureMap

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the maps read."""
        return (self.input,)

    @property
    def name(self) -> str:
        """The operator's name is that of the map it writes."""
        return self.output.name

    def macs(self) -> int:
        """Multiplications a frame, as publications count them: of convolutions, linear layers and channel scales."""
        return 0


@dataclass(frozen=True, eq=False)
class TwoInputs:
    """An operator that reads the feature maps of names `inputs`."""

    inputs: tuple[str, str]
    output: FeatureMap

    @property
    def name(self) -> str:
        """The operator's name is that of the map it writes."""
        return self.output.name

    def macs(self) -> int:
        """Multiplications a frame, as `OneInput.macs`."""
        return 0
