"""A window as C++."""

from __future__ import annotations

from deepdive.backends.vitis.stages.code import StageCode, array, code_of, emit, integers
from deepdive.hardware.stages import Window
from deepdive.qnet import QNet


@emit.register
def _(stage: Window, net: QNet) -> StageCode:
    grid = stage.grid
    top, left, bottom, right = grid.padding
    row_beats = stage.row_pixels * stage.input.groups
    return code_of(
        stage,
        template="window",
        constants=(
            *integers(
                height=stage.input.height,
                width=stage.input.width,
                groups=stage.input.groups,
                least_groups=stage.input.groups,
                row_beats=row_beats,
                least_row_beats=row_beats,
                kernel_height=grid.kernel[0],
                kernel_width=grid.kernel[1],
                filter_width=stage.kernel[1],
                columns=stage.columns,
                offset=grid.offset,
                stride_y=grid.stride[0],
                stride_x=grid.stride[1],
                pad_top=top,
                pad_left=left,
                pad_bottom=bottom,
                pad_right=right,
            ),
            array("short", "zero_points", stage.zero_point * (stage.columns if len(stage.zero_point) > 1 else 1)),
        ),
    )
