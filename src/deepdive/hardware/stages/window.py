"""Window: turns a feature map into filter windows, with line buffers and zero-point padding."""

from __future__ import annotations

from typing import Literal

from deepdive.hardware.memory import Memory
from deepdive.hardware.resources import Resources
from deepdive.hardware.stages.stage import Stage
from deepdive.hardware.stream import Stream


class Window(Stage):
    """Emits, for each output pixel and group of lanes, the kernel's taps (row-major, `stride` applied).

    The loop runs over the input raster: a step takes one beat and may give one window. Taps in the padding are
    replaced by the zero point, so padding costs no steps: the window that needs pixels right of or below the map is
    emitted while the next pixels (of the next frame, too) come in, and the frame interval is the beats of the input.
    """

    kind: Literal["window"] = "window"
    input: Stream
    output: Stream
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    zero_point: tuple[int, ...]

    @property
    def inputs(self) -> tuple[Stream, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return (self.output,)

    @property
    def interval_cycles(self) -> int:
        return self.input.beats

    @property
    def memories(self) -> tuple[Memory, ...]:
        """kernel_h - 1 line buffers of a row each; kernel_w - 1 column memories of a pixel each, all rows wide."""
        word = self.input.lanes * self.input.bits
        lines, columns = self.kernel[0] - 1, self.kernel[1] - 1
        row = Memory(name="lines", depth=self.input.width * self.input.groups, width=word, banks=max(lines, 1))
        column = Memory(name="columns", depth=self.input.groups, width=word * self.kernel[0], banks=max(columns, 1))
        return (*((row,) if lines else ()), *((column,) if columns else ()))

    def resources(self) -> Resources:
        taps = self.output.taps * self.output.lanes * self.output.bits
        own = Resources(lut=taps + 150, ff=taps + 120)
        return own + Resources(
            lut=sum(m.lut for m in self.memories), bram36=sum(m.bram36 for m in self.memories)
        )
