// Window: from a feature map to filter windows, with line buffers; padding costs no time.
//
// Two rasters run side by side: the input's, and that of the windows' top left corners, which lags behind by the pixels
// that a window spans. A window whose last taps lie right of or below the map is emitted while the next row's or the
// next frame's pixels come in; taps outside the map are replaced by the zero point. So a frame takes as many steps as
// the map has beats (more only when the padding is so large that there are more windows than pixels).
//
// Spec: input, output (beats), height, width, groups, kernel_height, kernel_width, stride_y, stride_x, pad_top, pad_left,
// pad_bottom, pad_right, zero_points[] (one, or one a channel).
#ifndef DEEPDIVE_WINDOW_H
#define DEEPDIVE_WINDOW_H

#include "deepdive/beat.h"

namespace deepdive {

// Position in a raster of groups within columns within rows, and how far the next strided row and column are.
struct raster_position {
    int row = 0;
    int column = 0;
    int group = 0;
    int row_phase = 0;
    int column_phase = 0;

    template <class Raster>
    void advance() {
#pragma HLS inline
        if (group != Raster::groups - 1) {
            ++group;
            return;
        }
        group = 0;
        if (column != Raster::columns - 1) {
            ++column;
            column_phase = column_phase == Raster::stride_x - 1 ? 0 : column_phase + 1;
            return;
        }
        column = 0;
        column_phase = 0;
        if (row != Raster::rows - 1) {
            ++row;
            row_phase = row_phase == Raster::stride_y - 1 ? 0 : row_phase + 1;
            return;
        }
        row = 0;
        row_phase = 0;
    }
};

// The raster that both positions run over, and what follows from it.
template <class Spec>
struct window_raster {
    static constexpr int groups = Spec::groups;
    static constexpr int stride_x = Spec::stride_x;
    static constexpr int stride_y = Spec::stride_y;
    static constexpr int window_rows = Spec::height + Spec::pad_top + Spec::pad_bottom - Spec::kernel_height + 1;
    static constexpr int window_columns = Spec::width + Spec::pad_left + Spec::pad_right - Spec::kernel_width + 1;
    static constexpr int rows = Spec::height > window_rows ? Spec::height : window_rows;
    static constexpr int columns = Spec::width > window_columns ? Spec::width : window_columns;
    static constexpr int lag = ((Spec::kernel_height - 1 - Spec::pad_top) * columns + Spec::kernel_width - 1 - Spec::pad_left) * groups;
    static_assert(lag >= 0, "padding must be smaller than the kernel");
};

template <class Spec>
void window(hls::stream<typename Spec::input>& input, hls::stream<typename Spec::output>& output, int frames) {
#pragma HLS inline off
    using raster = window_raster<Spec>;
    using element = typename Spec::input::element;
    constexpr int lanes = Spec::input::size;
    constexpr int kernel_height = Spec::kernel_height;
    constexpr int kernel_width = Spec::kernel_width;
    constexpr int lines_above = kernel_height > 1 ? kernel_height - 1 : 1;
    constexpr int columns_left = kernel_width > 1 ? kernel_width - 1 : 1;
    constexpr int zero_points = sizeof(Spec::zero_points) / sizeof(Spec::zero_points[0]);
    constexpr int row_beats = raster::columns * raster::groups;
    constexpr int groups = raster::groups;
    static_assert(Spec::output::size == kernel_height * kernel_width * lanes, "a window holds every tap of every lane");

    // One word holds the pixels above a beat, another those to its left: a step reads one word and writes it back, moved
    // by one, so a memory with one read and one write port is enough. An address comes up again only after a row, or
    // after the groups of a pixel.
    element above[row_beats][lines_above][lanes];
#pragma HLS array_reshape variable=above dim=2 type=complete
#pragma HLS array_reshape variable=above dim=3 type=complete
#pragma HLS dependence variable=above type=inter direction=RAW distance=row_beats dependent=true
    element left[groups][columns_left][kernel_height][lanes];
#pragma HLS array_reshape variable=left dim=2 type=complete
#pragma HLS array_reshape variable=left dim=3 type=complete
#pragma HLS array_reshape variable=left dim=4 type=complete
#pragma HLS dependence variable=left type=inter direction=RAW distance=groups dependent=true

    const long long reads = static_cast<long long>(frames) * raster::rows * row_beats;
    const long long steps = reads + raster::lag;
    raster_position source;
    raster_position corner;
    int address = 0;

steps_of_all_frames:
    for (long long step = 0; step < steps; ++step) {
#pragma HLS pipeline II=1
        // The newest column of pixels: those above, from the line buffers, and the one that comes in.
        element column[kernel_height][lanes];
#pragma HLS array_partition variable=column dim=0 type=complete
        if constexpr (kernel_height > 1) {
        column_from_lines:
            for (int y = 0; y < kernel_height - 1; ++y) {
#pragma HLS unroll
            column_from_lines_lane:
                for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
                    column[y][lane] = above[address][y][lane];
                }
            }
        }
        typename Spec::input pixel = {};
#pragma HLS aggregate variable=pixel compact=bit
        if (step < reads && source.row < Spec::height && source.column < Spec::width) {
            pixel = input.read();
        }
    column_from_input:
        for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
            column[kernel_height - 1][lane] = pixel.lane[lane];
        }
        if constexpr (kernel_height > 1) {
        lines_move_up:
            for (int y = 0; y < kernel_height - 1; ++y) {
#pragma HLS unroll
            lines_move_up_lane:
                for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
                    above[address][y][lane] = column[y + 1][lane];
                }
            }
        }

        // The whole window, oldest column first.
        element taps[kernel_width][kernel_height][lanes];
#pragma HLS array_partition variable=taps dim=0 type=complete
        const int group = source.group;
    gather:
        for (int x = 0; x < kernel_width; ++x) {
#pragma HLS unroll
        gather_row:
            for (int y = 0; y < kernel_height; ++y) {
#pragma HLS unroll
            gather_lane:
                for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
                    taps[x][y][lane] = x == kernel_width - 1 ? column[y][lane] : left[group][x][y][lane];
                }
            }
        }
        if constexpr (kernel_width > 1) {
        columns_move_left:
            for (int x = 0; x < kernel_width - 1; ++x) {
#pragma HLS unroll
            columns_move_left_row:
                for (int y = 0; y < kernel_height; ++y) {
#pragma HLS unroll
                columns_move_left_lane:
                    for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
                        left[group][x][y][lane] = taps[x + 1][y][lane];
                    }
                }
            }
        }

        if (step >= raster::lag) {
            const bool wanted = corner.row_phase == 0 && corner.column_phase == 0 && corner.row < raster::window_rows &&
                                corner.column < raster::window_columns;
            if (wanted) {
                typename Spec::output result;
#pragma HLS aggregate variable=result compact=bit
            emit_row:
                for (int y = 0; y < kernel_height; ++y) {
#pragma HLS unroll
                    const int row = corner.row + y - Spec::pad_top;
                    const bool row_inside = row >= 0 && row < Spec::height;
                emit_column:
                    for (int x = 0; x < kernel_width; ++x) {
#pragma HLS unroll
                        const int at = corner.column + x - Spec::pad_left;
                        const bool inside = row_inside && at >= 0 && at < Spec::width;
                    emit_lane:
                        for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
                            const int channel = zero_points == 1 ? 0 : corner.group * lanes + lane;
                            const element zero = Spec::zero_points[channel];
                            result.lane[(y * kernel_width + x) * lanes + lane] = inside ? taps[x][y][lane] : zero;
                        }
                    }
                }
                output.write(result);
            }
            corner.advance<raster>();
        }
        source.advance<raster>();
        address = address == row_beats - 1 ? 0 : address + 1;
    }
}

}  // namespace deepdive

#endif
