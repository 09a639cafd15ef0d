"""From a traced graph to a plan: batch norm, activations and zero padding join the layer they belong to."""

from __future__ import annotations

from torch import fx

from deepdive.quantization.fuser import Fuser
from deepdive.quantization.plan import Plan, Shape
from deepdive.quantization.rules import find_rule


def fuse(traced: fx.GraphModule, input_shape: Shape) -> Plan:
    """Group a traced graph into the layers of the integer contract.

    Raises
    ------
    UnsupportedLayer
        Naming the dotted module, its type, and what to use instead.
    """
    return Fuser(traced, input_shape).run(find_rule)
