"""What an importer gives back."""

from __future__ import annotations

from dataclasses import dataclass

from deepdive.errors import DeepDiveError
from deepdive.qnet.graph import QNet


class FloatFile(DeepDiveError):
    """The file holds a float network, which the network wing quantizes (`deepdive.quantization.from_onnx`)."""


@dataclass(frozen=True)
class Imported:
    """A network from elsewhere, and what its owner should know of it.

    Parameters
    ----------
    source
        What the importer took the file for, such as "ONNX QDQ".
    notes
        One sentence each: what was kept, mended, or measured.
    deviation
        How far the integer network is from the source's own runtime; None where it is equal by construction.
    """

    net: QNet
    source: str
    notes: tuple[str, ...] = ()
    deviation: Deviation | None = None


@dataclass(frozen=True)
class Deviation:
    """Codes of the integer network against those of the source's own runtime, on the same inputs.

    Parameters
    ----------
    images
        How many inputs were compared.
    codes, share, layer
        Each layer by itself, given the source's own codes: the largest difference of any element in codes, the largest
        share of a layer's elements that differ, and that layer's name.
    output_codes
        Largest difference of the output when each computes the whole network.
    top1_equal
        Of how many inputs the largest output is then at the same place.
    """

    images: int
    codes: int
    share: float
    layer: str
    output_codes: int
    top1_equal: int
