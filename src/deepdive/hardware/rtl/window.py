"""Window in RTL: line buffers, column buffers, and the zero point in place of the padding."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value

from deepdive.hardware.memory import Memory
from deepdive.hardware.rtl.component import StageComponent
from deepdive.hardware.rtl.counters import counter, next_in
from deepdive.hardware.rtl.memories import add_ram
from deepdive.hardware.stages.window import Window


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


class WindowComponent(StageComponent):
    """A raster runs over the input's pixels; a second one, `lag` pixels behind it, over the windows.

    A step of the first raster shifts the new pixel into the lines and columns and gives the window whose last tap it
    is, so the last windows of a frame come out while the next frame goes in. When no next frame comes, the steps run
    *ahead* of the input: they read lines and columns but write no line, so that the real steps, once they come, find
    the lines as they were; those give no window a second time. An excursion lasts at least `settle` pixels, after
    which the real steps have refilled the columns that a later window needs.
    """

    def __init__(self, stage: Window) -> None:
        super().__init__(stage)
        self.stage = stage
        self.raster_columns = stage.row_pixels
        self.raster_rows = stage.interval_cycles // (self.raster_columns * stage.input.groups)
        self.lag = stage.lag_pixels
        self.settle = stage.kernel[1] - 1 - stage.padding[1]
        # Steps ahead read the same lines row after row; in later rows they lie higher. Beyond this, all is padding.
        self.rows_ahead = max(stage.kernel[0] - 2 - stage.padding[0], 0)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        advance = Signal()
        m.d.comb += advance.eq(~self.output0.valid | self.output0.ready)
        step, window_row, window_column = self._rasters(m, advance)
        row_masks, column_masks = self._inside(window_row, window_column)
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
            Mux(rows[i] & columns[j], taps[i][j], zero)
            for i in range(self.stage.kernel[0])
            for j in range(self.stage.kernel[1])
        ]
        payload = Signal.like(self.output0.payload, reset_less=True)
        m.d.comb += self.output0.payload.eq(payload)
        with m.If(advance):
            m.d.sync += payload.eq(Cat(beat))
        return m

    def _rasters(self, m: Module, advance: Value) -> tuple[Step, Signal, Signal]:
        """Both rasters and the steps ahead: (step, window row, window column)."""
        stage, lag = self.stage, self.lag
        groups = stage.input.groups
        group = counter(groups, "group")
        row, column = counter(self.raster_rows, "row"), counter(self.raster_columns, "column")
        window_row, window_column = (
            counter(self.raster_rows, "window_row"),
            counter(self.raster_columns, "window_column"),
        )
        # So many steps ahead have been taken that the real raster has not caught up with: at the start all of them,
        # since no frame came before the first.
        done, run = counter(lag + 1, "done", init=lag), counter(lag + 1, "run")
        line, line_ahead = (counter(self.raster_columns * groups, name) for name in ("line", "line_ahead"))
        ahead, was_ahead, blank, real = (Signal(name=name) for name in ("ahead", "was_ahead", "blank", "real"))
        step = Step(
            fire=Signal(name="fire"),
            ahead=ahead,
            pixel_done=group == groups - 1,
            emit=Signal(name="gives_window"),
            group=group,
            line_address=Mux(ahead, line_ahead, line),
            rows_ahead=counter(self.rows_ahead + 1, "rows_ahead"),
        )
        may_leave = (row == 0) & (column == 0) & (done != lag)
        must_stay = (run != 0) & (run < self.settle)
        m.d.comb += [
            ahead.eq(Mux(group == 0, may_leave & (must_stay | ~self.input0.valid), was_ahead)),
            blank.eq((row >= stage.input.height) | (column >= stage.input.width)),
            real.eq(~ahead & (blank | self.input0.valid)),
            step.fire.eq(advance & (ahead | real)),
            self.input0.ready.eq(advance & ~ahead & ~blank),
        ]
        fresh = Mux(ahead, run == done, done == 0)
        m.d.comb += step.emit.eq(step.fire & fresh & self._on_stride(m, window_row, window_column))
        with m.If(step.fire):
            m.d.sync += [was_ahead.eq(ahead), group.eq(next_in(group, groups))]
            with m.If(ahead):
                m.d.sync += line_ahead.eq(next_in(line_ahead, self.raster_columns * groups))
                with m.If((line_ahead == self.raster_columns * groups - 1) & (step.rows_ahead != self.rows_ahead)):
                    m.d.sync += step.rows_ahead.eq(step.rows_ahead + 1)
            with m.Else():
                m.d.sync += [
                    line.eq(next_in(line, self.raster_columns * groups)),
                    line_ahead.eq(0),
                    step.rows_ahead.eq(0),
                ]
        with m.If(step.fire & step.pixel_done):
            with m.If(ahead):
                m.d.sync += run.eq(run + 1)
                with m.If(fresh):
                    m.d.sync += done.eq(done + 1)
            with m.Else():
                m.d.sync += [run.eq(0), column.eq(next_in(column, self.raster_columns))]
                with m.If(column == self.raster_columns - 1):
                    m.d.sync += row.eq(next_in(row, self.raster_rows))
                with m.If(~fresh):
                    m.d.sync += done.eq(done - 1)
            with m.If(fresh):
                m.d.sync += window_column.eq(next_in(window_column, self.raster_columns))
                with m.If(window_column == self.raster_columns - 1):
                    m.d.sync += window_row.eq(next_in(window_row, self.raster_rows))
        return step, window_row, window_column

    def _on_stride(self, m: Module, row: Signal, column: Signal) -> Value:
        """Whether the window at this position of the raster is one of the output's."""
        stage = self.stage
        hit = C(1)
        sides = zip((row, column), (stage.output.height, stage.output.width), stage.stride, strict=True)
        for position, count, stride in sides:
            hit = hit & (position <= (count - 1) * stride)
            if stride > 1:
                table = Array(C(int(i % stride == 0), 1) for i in range(1 << len(position)))
                hit = hit & (~position[0] if stride == 2 else table[position])
        return hit

    def _inside(self, row: Signal, column: Signal) -> tuple[list[Value], list[Value]]:
        """For each row and each column of the window: whether it lies in the map."""
        top, left, _, _ = self.stage.padding
        height, width = self.stage.input.height, self.stage.input.width
        rows = [(row + i >= top) & (row + i < height + top) for i in range(self.stage.kernel[0])]
        columns = [(column + j >= left) & (column + j < width + left) for j in range(self.stage.kernel[1])]
        return rows, columns

    def _buffers(self, m: Module, advance: Value, step: Step) -> tuple[list[list[Value]], Value]:
        """Taps (row, column) of the step before, each `lanes` codes, and whether it gives a window."""
        stage = self.stage
        kernel_h, kernel_w = stage.kernel
        word = stage.input.lanes * stage.input.bits
        fired, ahead, emit = Signal(), Signal(), Signal()
        pixel = Signal(word, reset_less=True)
        with m.If(advance):
            m.d.sync += [fired.eq(step.fire), ahead.eq(step.ahead), emit.eq(step.emit), pixel.eq(self.input0.payload)]
        fresh_column: list[Value] = [pixel]
        if kernel_h > 1:
            lines = Memory(name="lines", depth=self.raster_columns * stage.input.groups, width=word * (kernel_h - 1))
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
        columns = Memory(name="columns", depth=stage.input.groups, width=word * kernel_h * (kernel_w - 1))
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
        m.d.comb += [
            ram.read_enable.eq(advance),
            ram.read_address.eq(address),
            ram.write_enable.eq(advance & write),
            ram.write_address.eq(written),
            ram.write_data.eq(Cat(ram.read_data, new)[len(new) :]),
        ]
        return [ram.read_data.word_select(i, len(new)) for i in range(memory.width // len(new))]

    def _zero_points(self, group: Signal) -> Value:
        """What the padding holds: `lanes` codes."""
        stage = self.stage
        lanes, bits = stage.input.lanes, stage.input.bits
        points = list(stage.zero_point) * (stage.input.channels if len(stage.zero_point) == 1 else 1)
        words = [
            sum((point % (1 << bits)) << (lane * bits) for lane, point in enumerate(points[start : start + lanes]))
            for start in range(0, stage.input.channels, lanes)
        ]
        if len(set(words)) == 1:
            return C(words[0], lanes * bits)
        return Array(C(word, lanes * bits) for word in words)[group]
