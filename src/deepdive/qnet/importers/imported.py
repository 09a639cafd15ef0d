"""What an importer gives back."""

from __future__ import annotations

from dataclasses import dataclass

from deepdive.qnet.graph import QNet


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
    codes
        Largest difference of any element of any layer, in codes.
    share
        Of the layer with most of them, the share of elements that differ.
    layer
        That layer's name.
    top1_equal
        Of how many inputs the largest output is at the same place.
    """

    images: int
    codes: int
    share: float
    layer: str
    top1_equal: int
