"""What stages read from external memory, and what an AXI master costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from deepdive.hardware.resources import Resources

MEMORY_WORD_BYTES = 16
"""Of a port that reads weights; as in ``deepdive/memory_word.h``."""

WORD_BITS = 8 * MEMORY_WORD_BYTES

READ_AHEAD = 512
"""Words that a streamed stage reads ahead: what two block RAMs hold, several bursts of 1 KB on their way."""

PORT = Resources(lut=170, ff=220)
"""An AXI master of the RTL that reads, with the process behind it; one that writes costs the same once more; fitted.
Vitis HLS makes larger ones, with block RAM: the part of a board that the search leaves free has to hold what they take
beyond this."""


@dataclass(frozen=True)
class ExternalWords:
    """How `steps` weight words of `width` bits, read in this order again and again, lie in the RTL's memory.

    Narrow ones lie side by side in a word, wide ones begin on one.
    """

    steps: int
    width: int

    @property
    def together(self) -> int:
        """Weight words in a word of memory, at least 1."""
        return max(1, WORD_BITS // self.width)

    @property
    def parts(self) -> int:
        """Words of memory of a weight word, at least 1."""
        return math.ceil(self.width / WORD_BITS)

    @property
    def words(self) -> int:
        """Of memory, in all."""
        return math.ceil(self.steps / self.together) * self.parts
