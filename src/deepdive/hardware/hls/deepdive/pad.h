// Pad: a map within a frame of its zero point; a step gives one beat, and reads one inside the map.
//
// Spec: input, output (beats), height, width (of the input), groups (beats a pixel), pad_top, pad_left, pad_bottom,
// pad_right, zero_point.
#ifndef DEEPDIVE_PAD_H
#define DEEPDIVE_PAD_H

#include "deepdive/beat.h"

namespace deepdive {

template <class Spec>
void pad(hls::stream<typename Spec::input>& input, hls::stream<typename Spec::output>& output, int frames) {
#pragma HLS inline off
    constexpr int lanes = Spec::output::size;
    constexpr int rows = Spec::pad_top + Spec::height + Spec::pad_bottom;
    constexpr int columns = Spec::pad_left + Spec::width + Spec::pad_right;

    const long long steps = static_cast<long long>(frames) * rows * columns * Spec::groups;
    int group = 0;
    int column = 0;
    int row = 0;

steps_of_all_frames:
    for (long long step = 0; step < steps; ++step) {
#pragma HLS pipeline II=1
        const int y = row - Spec::pad_top;
        const int x = column - Spec::pad_left;
        typename Spec::output result;
#pragma HLS aggregate variable=result compact=bit
        if (y >= 0 && y < Spec::height && x >= 0 && x < Spec::width) {
            result = input.read();
        } else {
        fill_lanes:
            for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
                result.lane[lane] = Spec::zero_point;
            }
        }
        output.write(result);
        if (group != Spec::groups - 1) {
            ++group;
        } else {
            group = 0;
            if (column != columns - 1) {
                ++column;
            } else {
                column = 0;
                row = row == rows - 1 ? 0 : row + 1;
            }
        }
    }
}

}  // namespace deepdive

#endif
