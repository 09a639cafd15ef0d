"""Window in RTL: line buffers, column buffers, and the zero point in place of the padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value

from deepdive.hardware.memory import Memory
from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.counters import counter, next_until
from deepdive.hardware.rtl.limits import Limit, Limits
from deepdive.hardware.rtl.memories import RamPorts, add_ram
from deepdive.hardware.stages.window import Window

PATIENCE = 32
"""Cycles that a window waits for the next frame, beyond the pause that its design makes between two frames, before it
goes on without: what is in between may come a little late."""


@dataclass(frozen=True)
class Step:
    """Signals of the step that the raster takes in this cycle."""

    fire: Signal
    ahead: Signal
    pixel_done: Value
    emit: Signal
    group: Signal
    line_address: Value
    rows_ahead: Signal


def window_limits(stage: Window) -> dict[str, int]:
    """What the rasters count by; `rows_ahead` and `settle` as `WindowComponent` explains them."""
    grid = stage.grid
    top, left, _, _ = grid.padding
    rows = stage.interval_cycles // (stage.row_pixels * stage.input.groups)
    return {
        "last_group": stage.input.groups - 1,
        "last_row": rows - 1,
        "last_column": stage.row_pixels - 1,
        "last_in_line": stage.row_pixels * stage.input.groups - 1,
        "height": stage.input.height,
        "width": stage.input.width,
        "lag": stage.lag_pixels,
        "settle": grid.kernel[1] - 1 - left,
        # Steps ahead read the same lines row after row; in later rows they lie higher. Beyond this, all is padding.
        "rows_ahead": max(grid.kernel[0] - 2 - top, 0),
        "top": top,
        "left": left,
        "last_window_row": (stage.output.height - 1) * grid.stride[0],
        "last_window_column": (stage.output.width - 1) * grid.stride[1],
        "stride_y": grid.stride[0],
        "stride_x": grid.stride[1],
    }


class WindowComponent(StageComponent):
    """A raster runs over the input's pixels; a second one, `lag` pixels behind it, over the windows.

    A step of the first raster shifts the new pixel into the lines and columns and gives the window whose last tap it
    is, so the last windows of a frame come out while the next frame goes in. When no next frame comes, the steps run
    *ahead* of the input: they read lines and columns but write no line, so that the real steps, once they come, find
    the lines as they were; those give no window a second time. An excursion lasts at least `settle` pixels, after
    which the real steps have refilled the columns that a later window needs. That time is lost where the next frame
    was only a few cycles away, so an excursion begins after `PATIENCE` cycles without a beat, and as many more as
    frames may be apart though the next one is on its way (`pause`, clock cycles).
    """

    def __init__(self, stage: Window, pause: int = 0) -> None:
        super().__init__(stage, Limits([window_limits(stage)]))
        self._configure(stage, pause)

    def _configure(self, stage: Window, pause: int) -> None:
        self.stage, self.patience = stage, PATIENCE + pause
        most = self.numbers.most
        self.groups, self.raster_rows, self.raster_columns, self.line = (
            most(name) + 1 for name in ("last_group", "last_row", "last_column", "last_in_line")
        )
        self.lag, self.rows_ahead = most("lag"), most("rows_ahead")

    def elaborate(self, platform: object) -> Module:
        m = Module()
        advance = Signal()
        limits = self.limits()
        m.d.comb += advance.eq(~self.output0.valid | self.output0.ready)
        step, window_row, window_column = self._rasters(m, advance & self._runs(), limits)
        row_masks, column_masks = self._inside(window_row, window_column, limits)
        taps, emit = self._buffers(m, advance, step)
        rows, columns, group = Signal(len(row_masks)), Signal(len(column_masks)), Signal.like(step.group)
        with m.If(advance):
            m.d.sync += [
                rows.eq(Cat(row_masks)),
                columns.eq(Cat(column_masks)),
                group.eq(step.group),
                self.output0.valid.eq(emit),
            ]
        zero = self._zero_points(group)
        beat = [
            word
            for i in range(len(row_masks))
            for j in range(len(column_masks))
            for word in self._of_filter(j, Mux(rows[i] & columns[j], taps[i][j], zero))
        ]
        payload = Signal.like(self.output0.payload, reset_less=True)
        m.d.comb += self.output0.payload.eq(payload)
        with m.If(advance):
            m.d.sync += payload.eq(Cat(beat))
        return m

    def _rasters(self, m: Module, advance: Value, limits: dict[str, Limit]) -> tuple[Step, Signal, Signal]:
        """Both rasters and the steps ahead: (step, window row, window column)."""
        lag, last_group = limits["lag"], limits["last_group"]
        group = counter(self.groups, "group")
        row, column = counter(self.raster_rows, "row"), counter(self.raster_columns, "column")
        window_row, window_column = (
            counter(self.raster_rows, "window_row"),
            counter(self.raster_columns, "window_column"),
        )
        # So many steps ahead have been taken that the real raster has not caught up with: at the start all of them,
        # since no frame came before the first.
        done, run = counter(self.lag + 1, "done", init=self.lag), counter(self.lag + 1, "run")
        line, line_ahead = (counter(self.line, name) for name in ("line", "line_ahead"))
        ahead, was_ahead, blank, real = (Signal(name=name) for name in ("ahead", "was_ahead", "blank", "real"))
        step = Step(
            fire=Signal(name="fire"),
            ahead=ahead,
            pixel_done=group == last_group,
            emit=Signal(name="gives_window"),
            group=group,
            line_address=Mux(ahead, line_ahead, line),
            rows_ahead=counter(self.rows_ahead + 1, "rows_ahead"),
        )
        may_leave = (row == 0) & (column == 0) & (done != lag)
        must_stay = (run != 0) & (run < limits["settle"])
        m.d.comb += [
            ahead.eq(Mux(group == 0, may_leave & (must_stay | self._late(m, advance)), was_ahead)),
            blank.eq((row >= limits["height"]) | (column >= limits["width"])),
            real.eq(~ahead & (blank | self.input0.valid)),
            step.fire.eq(advance & (ahead | real)),
            self.input0.ready.eq(advance & ~ahead & ~blank),
        ]
        fresh = Mux(ahead, run == done, done == 0)
        m.d.comb += step.emit.eq(step.fire & fresh & self._on_stride(window_row, window_column, limits))
        with m.If(step.fire):
            m.d.sync += [was_ahead.eq(ahead), group.eq(next_until(group, last_group))]
            with m.If(ahead):
                m.d.sync += line_ahead.eq(next_until(line_ahead, limits["last_in_line"]))
                with m.If((line_ahead == limits["last_in_line"]) & (step.rows_ahead != limits["rows_ahead"])):
                    m.d.sync += step.rows_ahead.eq(step.rows_ahead + 1)
            with m.Else():
                m.d.sync += [
                    line.eq(next_until(line, limits["last_in_line"])),
                    line_ahead.eq(0),
                    step.rows_ahead.eq(0),
                ]
        with m.If(step.fire & step.pixel_done):
            with m.If(ahead):
                m.d.sync += run.eq(run + 1)
                with m.If(fresh):
                    m.d.sync += done.eq(done + 1)
            with m.Else():
                m.d.sync += [run.eq(0), column.eq(next_until(column, limits["last_column"]))]
                with m.If(column == limits["last_column"]):
                    m.d.sync += row.eq(next_until(row, limits["last_row"]))
                with m.If(~fresh):
                    m.d.sync += done.eq(done - 1)
            with m.If(fresh):
                m.d.sync += window_column.eq(next_until(window_column, limits["last_column"]))
                with m.If(window_column == limits["last_column"]):
                    m.d.sync += window_row.eq(next_until(window_row, limits["last_row"]))
        positions = (group, row, column, window_row, window_column, run, line, line_ahead, was_ahead, step.rows_ahead)
        self._restart(m, positions, done)
        self._between_frames(m, (row == 0) & (column == 0) & (ahead | (group == 0)))
        return step, window_row, window_column

    def _late(self, m: Module, advance: Value) -> Value:
        """Whether no beat has come for so long that the next frame is not to be waited for."""
        idle = counter(self.patience + 1, "idle")
        late = idle == self.patience
        with m.If(self.input0.valid):
            m.d.sync += idle.eq(0)
        with m.Elif(advance & ~late):
            m.d.sync += idle.eq(idle + 1)
        return late & ~self.input0.valid

    def _runs(self) -> Value:
        """Whether the rasters may move at all."""
        return C(1)

    def _restart(self, m: Module, positions: Sequence[Signal], done: Signal) -> None:
        """A streamed window runs on for ever."""

    def _between_frames(self, m: Module, now: Value) -> None:
        """Nobody asks a streamed window."""

    def _on_stride(self, row: Signal, column: Signal, limits: dict[str, Limit]) -> Value:
        """Whether the window at this position of the raster is one of the output's."""
        hit = (row <= limits["last_window_row"]) & (column <= limits["last_window_column"])
        for position, name in ((row, "stride_y"), (column, "stride_x")):
            strides = {block[name] for block in self.numbers.blocks}
            found = [(limits[name] == stride) & multiple_of(position, stride) for stride in sorted(strides)]
            hit = hit & (multiple_of(position, strides.pop()) if len(strides) == 1 else reduce(or_, found))
        return hit

    def _inside(self, row: Signal, column: Signal, limits: dict[str, Limit]) -> tuple[list[Value], list[Value]]:
        """For each row and each column of the window: whether it lies in the map."""
        top, left, height, width = (limits[name] for name in ("top", "left", "height", "width"))
        rows = [(row + i >= top) & (row + i < height + top) for i in range(self.stage.grid.kernel[0])]
        columns = [(column + j >= left) & (column + j < width + left) for j in range(self.stage.grid.kernel[1])]
        return rows, columns

    def _buffers(self, m: Module, advance: Value, step: Step) -> tuple[list[list[Value]], Value]:
        """Taps (row, column) of the step before, each `lanes` codes, and whether it gives a window."""
        stage = self.stage
        kernel_h, kernel_w = stage.grid.kernel
        word = stage.input.lanes * stage.input.bits
        fired, ahead, emit = Signal(), Signal(), Signal()
        pixel = Signal(word, reset_less=True)
        with m.If(advance):
            m.d.sync += [fired.eq(step.fire), ahead.eq(step.ahead), emit.eq(step.emit), pixel.eq(self.input0.payload)]
        fresh_column: list[Value] = [pixel]
        if kernel_h > 1:
            lines = Memory(name="lines", depth=self.line, width=word * (kernel_h - 1))
            above = self._shift(m, lines, advance, fired & ~ahead, step.line_address, pixel)
            rows_ahead = Signal.like(step.rows_ahead, name="rows_above")
            with m.If(advance):
                m.d.sync += rows_ahead.eq(Mux(step.ahead, step.rows_ahead, 0))
            column = Cat(above, pixel)
            if self.rows_ahead:
                column = Array(column[rows * word :] for rows in range(self.rows_ahead + 1))[rows_ahead]
            fresh_column = [column[row * word : (row + 1) * word] for row in range(kernel_h)]
        if kernel_w == 1:
            return [[tap] for tap in fresh_column], emit
        columns = Memory(name="columns", depth=self.groups, width=word * kernel_h * (kernel_w - 1))
        left = self._shift(m, columns, advance, fired, step.group, Cat(fresh_column))
        taps = [*([column.word_select(i, word) for i in range(kernel_h)] for column in left), fresh_column]
        return [[column[i] for column in taps] for i in range(kernel_h)], emit

    def _shift(
        self, m: Module, memory: Memory, advance: Value, write: Value, address: Value, new: Value
    ) -> list[Value]:
        """A memory of shift registers: what was shifted in at this address, the oldest first.

        It is read in the step's cycle and written in the next one; two steps in a row never share an address, unless
        the memory has one word and is a register.
        """
        ram = add_ram(m, memory)
        written = Signal.like(ram.write_address, name=f"{memory.name}_address")
        with m.If(advance):
            m.d.sync += written.eq(address)
        data = self._read(m, ram, memory)
        m.d.comb += [
            ram.read_enable.eq(advance),
            ram.read_address.eq(address),
            ram.write_enable.eq(advance & write),
            ram.write_address.eq(written),
            ram.write_data.eq(Cat(data, new)[len(new) :]),
        ]
        return [data.word_select(i, len(new)) for i in range(memory.width // len(new))]

    def _read(self, m: Module, ram: RamPorts, memory: Memory) -> Value:
        """What stands at the address of the step before."""
        return ram.read_data

    def _of_filter(self, place: int, pixel: Value) -> list[Value]:
        """Of the map's columns that a pixel of the stream holds, those that the filter has, the first one first."""
        stage = self.stage
        width = stage.output.lanes * stage.output.bits
        first = stage.columns * place - stage.grid.offset
        return [
            pixel[column * width : (column + 1) * width]
            for column in range(stage.columns)
            if 0 <= first + column < stage.kernel[1]
        ]

    def _zero_points(self, group: Signal) -> Value:
        """What the padding holds: `lanes` codes."""
        stage = self.stage
        lanes, bits = stage.input.lanes, stage.input.bits
        points = list(stage.zero_point) * (stage.input.channels // len(stage.zero_point))
        words = [
            sum((point % (1 << bits)) << (lane * bits) for lane, point in enumerate(points[start : start + lanes]))
            for start in range(0, stage.input.channels, lanes)
        ]
        if len(set(words)) == 1:
            return C(words[0], lanes * bits)
        return Array(C(word, lanes * bits) for word in words)[group]


def multiple_of(position: Signal, stride: int) -> Value:
    """Whether a stride meets this position."""
    if stride == 1:
        return C(1)
    if stride == 2:
        return ~position[0]
    return Array(C(int(i % stride == 0), 1) for i in range(1 << len(position)))[position]
