// Window: from a feature map to filter windows, with line buffers; padding costs no time.
//
// Two rasters run side by side: the input's, and that of the windows' top left corners, which lags behind by the pixels
// that a window spans. A window whose last taps lie right of or below the map is emitted while the next row's or the
// next frame's pixels come in; taps outside the map are replaced by the zero point. So a frame takes as many steps as
// the map has beats (more only when the padding is so large that there are more windows than pixels).
//
// Two columns of the map may come as one pixel (columns = 2): then kernel_width, stride_x and the padding count such pixels,
// and a window holds those of their columns that its filter of filter_width columns has, the first one `offset` columns in.
//
// Spec: input, output (beats), kernel_height, kernel_width, filter_width, columns, offset, groups and row_beats (the most there are, for the arrays),
// least_groups, least_row_beats. Layer, by default the Spec's own constants: height, width, groups (beats a pixel), stride_y,
// stride_x, pad_top, pad_left, pad_bottom, pad_right (each smaller than the kernel), zero_points[] (one, or one a channel).
#ifndef DEEPDIVE_WINDOW_H
#define DEEPDIVE_WINDOW_H

#include "deepdive/beat.h"

namespace deepdive {

// The raster that both positions run over.
struct window_raster {
    int groups;
    int columns;
    int rows;
    int stride_x;
    int stride_y;
};

// Position in a raster of groups within columns within rows, and how far the next strided row and column are.
struct raster_position {
    int row = 0;
    int column = 0;
    int group = 0;
    int row_phase = 0;
    int column_phase = 0;

    void advance(const window_raster& raster) {
#pragma HLS inline
        if (group != raster.groups - 1) {
            ++group;
            return;
        }
        group = 0;
        if (column != raster.columns - 1) {
            ++column;
            column_phase = column_phase == raster.stride_x - 1 ? 0 : column_phase + 1;
            return;
        }
        column = 0;
        column_phase = 0;
        if (row != raster.rows - 1) {
            ++row;
            row_phase = row_phase == raster.stride_y - 1 ? 0 : row_phase + 1;
            return;
        }
        row = 0;
        row_phase = 0;
    }
};

template <class Spec, class Layer = Spec>
void window(hls::stream<typename Spec::input>& input, hls::stream<typename Spec::output>& output, int frames,
            Layer layer = Layer()) {
#pragma HLS inline off
    using element = typename Spec::input::element;
    constexpr int lanes = Spec::input::size;
    constexpr int kernel_height = Spec::kernel_height;
    constexpr int kernel_width = Spec::kernel_width;
    constexpr int lines_above = kernel_height > 1 ? kernel_height - 1 : 1;
    constexpr int columns_left = kernel_width > 1 ? kernel_width - 1 : 1;
    constexpr int zero_points = sizeof(Layer::zero_points) / sizeof(Layer::zero_points[0]);
    constexpr int least_row_beats = Spec::least_row_beats;
    constexpr int least_groups = Spec::least_groups;
    static_assert(0 < least_groups && least_groups <= Spec::groups, "the fewest groups are no more than the most");
    static_assert(0 < least_row_beats && least_row_beats <= Spec::row_beats, "the same of the beats of a row");
    constexpr int columns_a_pixel = Spec::columns;
    constexpr int filter_width = Spec::filter_width;
    constexpr int channels = lanes / columns_a_pixel;
    static_assert(Spec::output::size == kernel_height * filter_width * channels, "a window holds every tap of every lane");

    // One word holds the pixels above a beat, another those to its left: a step reads one word and writes it back, moved
    // by one, so a memory with one read and one write port is enough. An address comes up again only after a row, or
    // after the groups of a pixel.
    element above[Spec::row_beats][lines_above][lanes];
#pragma HLS array_reshape variable=above dim=2 type=complete
#pragma HLS array_reshape variable=above dim=3 type=complete
#pragma HLS dependence variable=above type=inter direction=RAW distance=least_row_beats dependent=true
    element left[Spec::groups][columns_left][kernel_height][lanes];
#pragma HLS array_reshape variable=left dim=2 type=complete
#pragma HLS array_reshape variable=left dim=3 type=complete
#pragma HLS array_reshape variable=left dim=4 type=complete
#pragma HLS dependence variable=left type=inter direction=RAW distance=least_groups dependent=true

    const int window_rows = layer.height + layer.pad_top + layer.pad_bottom - kernel_height + 1;
    const int window_columns = layer.width + layer.pad_left + layer.pad_right - kernel_width + 1;
    const int rows = layer.height > window_rows ? layer.height : window_rows;
    const int columns = layer.width > window_columns ? layer.width : window_columns;
    const window_raster raster = {layer.groups, columns, rows, layer.stride_x, layer.stride_y};
    const int row_beats = columns * layer.groups;
    const int lag = ((kernel_height - 1 - layer.pad_top) * columns + kernel_width - 1 - layer.pad_left) * layer.groups;
    const long long reads = static_cast<long long>(frames) * rows * row_beats;
    const long long steps = reads + lag;
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
        if (step < reads && source.row < layer.height && source.column < layer.width) {
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

        if (step >= lag) {
            const bool wanted = corner.row_phase == 0 && corner.column_phase == 0 && corner.row < window_rows &&
                                corner.column < window_columns;
            if (wanted) {
                typename Spec::output result;
#pragma HLS aggregate variable=result compact=bit
            emit_row:
                for (int y = 0; y < kernel_height; ++y) {
#pragma HLS unroll
                    const int row = corner.row + y - layer.pad_top;
                    const bool row_inside = row >= 0 && row < layer.height;
                emit_column:
                    for (int x = 0; x < kernel_width; ++x) {
#pragma HLS unroll
                        const int at = corner.column + x - layer.pad_left;
                        const bool inside = row_inside && at >= 0 && at < layer.width;
                    emit_lane:
                        for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
                            const int channel = zero_points == 1 ? 0 : corner.group * lanes + lane;
                            const element zero = layer.zero_points[channel];
                            const int tap = x * columns_a_pixel + lane / channels - Spec::offset;
                            if (tap >= 0 && tap < filter_width) {
                                result.lane[(y * filter_width + tap) * channels + lane % channels] =
                                    inside ? taps[x][y][lane] : zero;
                            }
                        }
                    }
                }
                output.write(result);
            }
            corner.advance(raster);
        }
        source.advance(raster);
        address = address == row_beats - 1 ? 0 : address + 1;
    }
}

}  // namespace deepdive

#endif
