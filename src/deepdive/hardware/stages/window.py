"""Window: turns a feature map into filter windows, with line buffers and zero-point padding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from deepdive.hardware.memory import Memory, total
from deepdive.hardware.resources import Resources
from deepdive.hardware.stages.stage import Pipe


@dataclass(frozen=True)
class Grid:
    """A window over the pixels of the input stream; `padding` is (top, left, bottom, right).

    Where two columns of the map are one pixel of the stream, column `c` of that pixel (0, 1) at place `x` of the grid
    is column ``2 * x + c - offset`` of the filter, if the filter has such a one.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    offset: int = 0


class Window(Pipe):
    """Emits, for each output pixel and group of lanes, the kernel's taps (row-major, `stride` applied).

    The loop runs over the input raster: a step takes one beat and may give one window. Taps in the padding are
    replaced by the zero point, so padding costs no steps: the window that needs pixels right of or below the map is
    emitted while the next pixels (of the next frame, too) come in, and the frame interval is the beats of the input.
    Only padding beyond "same" makes the raster of windows larger than the map, and then that raster counts.

    `padding` is (top, left, bottom, right); `zero_point` is one for the map or one a channel.

    With two `columns` the stream brings two neighbouring pixels of the map a beat, as channels of one that is half as
    wide: memory holds them like that. The filter then moves by two columns of the map, `stride`, and by one of the
    stream; the raster and the line buffers are those of the stream (`grid`).
    """

    kind: Literal["window"] = "window"
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    zero_point: tuple[int, ...] = Field(min_length=1)
    columns: Literal[1, 2] = 1

    @model_validator(mode="after")
    def _shapes(self) -> Window:
        source, result = self.input, self.output
        if self.columns > 1 and (self.stride[1] != self.columns or source.groups > 1 or min(self.grid.padding) < 0):
            raise ValueError(
                f"stage '{self.name}': stride {self.stride[1]}, {source.groups} beats a pixel and padding "
                f"{self.padding} cannot be computed from two columns a beat"
            )
        wanted = tuple((side - 1) // step + 1 for side, step in zip(self.raster, self.grid.stride, strict=True))
        if (result.height, result.width) != wanted or result.taps != self.kernel[0] * self.kernel[1]:
            raise ValueError(f"stage '{self.name}': its output is not {wanted} windows of kernel {self.kernel}")
        channels, lanes = self.columns * result.channels, self.columns * result.lanes
        if (source.channels, source.lanes, source.bits, source.taps) != (channels, lanes, result.bits, 1):
            raise ValueError(f"stage '{self.name}': input and output differ in channels, lanes or bits")
        if len(self.zero_point) not in (1, result.channels):
            raise ValueError(f"stage '{self.name}': {len(self.zero_point)} zero points for {result.channels} channels")
        return self

    @property
    def grid(self) -> Grid:
        """The filter as the stream's pixels see it."""
        if self.columns == 1:
            return Grid(self.kernel, self.stride, self.padding)
        top, left, bottom, _ = self.padding
        first, last = -left // 2, (self.kernel[1] - 1 - left) // 2  # columns of the stream, from the window's own
        right = self.output.width - 1 + last - (self.input.width - 1)
        kernel = self.kernel[0], last - first + 1
        return Grid(kernel, (self.stride[0], 1), (top, -first, bottom, right), offset=-2 * first - left)

    @property
    def raster(self) -> tuple[int, int]:
        """(rows, columns) of window positions before the stride."""
        top, left, bottom, right = self.grid.padding
        return (
            self.input.height + top + bottom - self.grid.kernel[0] + 1,
            self.input.width + left + right - self.grid.kernel[1] + 1,
        )

    @property
    def row_pixels(self) -> int:
        """Steps a row, over the groups: the wider of the input's and the windows' raster."""
        return max(self.input.width, self.raster[1])

    @property
    def interval_cycles(self) -> int:
        return max(self.input.height, self.raster[0]) * self.row_pixels * self.input.groups

    @property
    def lag_pixels(self) -> int:
        """How many pixels of the raster the window's last tap runs ahead of its padded top left corner."""
        ahead = (
            (self.grid.kernel[0] - 1 - self.grid.padding[0]) * self.row_pixels
            + self.grid.kernel[1]
            - 1
            - self.grid.padding[1]
        )
        return max(ahead, 0)

    @property
    def fill_beats(self) -> int:
        return min(self.lag_pixels * self.input.groups + 1, self.input.beats)

    @property
    def drain_cycles(self) -> int:
        """Steps from the map's last pixel to the last tap of the last window, which may lie in the padding."""
        row = (self.output.height - 1) * self.grid.stride[0] + self.grid.kernel[0] - 1 - self.grid.padding[0]
        column = (self.output.width - 1) * self.grid.stride[1] + self.grid.kernel[1] - 1 - self.grid.padding[1]
        beyond = (row - (self.input.height - 1)) * self.row_pixels + column - (self.input.width - 1)
        return max(beyond, 0) * self.input.groups

    @property
    def tail_windows(self) -> int:
        """Windows that are given after the last of many frames' pixels has come; on a small map of several frames."""
        rows, columns = max(self.input.height, self.raster[0]), self.row_pixels
        last = (self.input.height - 1) * columns + self.input.width - 1
        frames, steps = divmod(rows * columns - 1 - last + self.lag_pixels, rows * columns)
        # Those of the last so many steps of the raster: whole rows of windows, and a part of the one before them.
        row, column = divmod(rows * columns - steps, columns)
        after = self.output.width - min(-(-column // self.grid.stride[1]), self.output.width)
        whole = self.output.height - min(row // self.grid.stride[0] + 1, self.output.height)
        part = after if row % self.grid.stride[0] == 0 and row // self.grid.stride[0] < self.output.height else 0
        return frames * self.output.height * self.output.width + whole * self.output.width + part

    @property
    def memories(self) -> tuple[Memory, ...]:
        """Lines and columns, each one memory whose word is read, shifted and written back in one step.

        A word of `lines` holds the kernel_h - 1 pixels above the new one; a word of `columns` the kernel_w - 1 columns
        to its left, kernel_h pixels high.
        """
        word = self.input.lanes * self.input.bits
        lines, columns = self.grid.kernel[0] - 1, self.grid.kernel[1] - 1
        row = Memory(name="lines", depth=self.row_pixels * self.input.groups, width=word * max(lines, 1))
        column = Memory(name="columns", depth=self.input.groups, width=word * self.grid.kernel[0] * max(columns, 1))
        return (*((row,) if lines else ()), *((column,) if columns else ()))

    def resources(self) -> Resources:
        """Memories, a register a tap, the rasters' counters and comparisons (fitted).

        The zero point of the padding is a reset of the taps' registers, unless it differs by channel: then each tap has
        a multiplexer. Steps ahead of the input take the lines from where they will lie, one multiplexer a row.
        """
        taps, word = self.output.beat_bits, self.input.beat_bits
        lut, ff = 8 * self.input.beats.bit_length(), taps + word + 110
        if len(set(self.zero_point)) > 1:
            lut += taps + word
        if self.grid.kernel[0] - 2 - self.grid.padding[0] > 0:
            lut += word * self.grid.kernel[0]
        return total(self.memories) + Resources(lut=lut, ff=ff)
