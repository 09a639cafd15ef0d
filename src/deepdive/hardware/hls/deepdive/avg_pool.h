// Average pool: the sum of each window, requantized; the division is part of mult and shift.
//
// Taps in the padding hold the zero point and add nothing. Where they do not count either, the division depends on how
// many rows and columns of the window lie inside the map; else all rows and columns count.
//
// Spec: input (taps * lanes), output (beats), height, width, groups (beats a pixel), acc_bits, biases[] (one, or one a
// channel), rows_inside[height], columns_inside[width], mults[], drops[] (one, or one a count of taps), half_up,
// zero_point, q_min, q_max.
#ifndef DEEPDIVE_AVG_POOL_H
#define DEEPDIVE_AVG_POOL_H

#include "deepdive/beat.h"
#include "deepdive/requantize.h"

namespace deepdive {

template <class Spec>
void avg_pool(hls::stream<typename Spec::input>& input, hls::stream<typename Spec::output>& output, int frames) {
#pragma HLS inline off
    constexpr int lanes = Spec::output::size;
    constexpr int taps = Spec::input::size / lanes;
    constexpr int biases = sizeof(Spec::biases) / sizeof(Spec::biases[0]);
    constexpr int counts = sizeof(Spec::mults) / sizeof(Spec::mults[0]);

    const long long steps = static_cast<long long>(frames) * Spec::height * Spec::width * Spec::groups;
    int group = 0;
    int column = 0;
    int row = 0;

steps_of_all_frames:
    for (long long step = 0; step < steps; ++step) {
#pragma HLS pipeline II=1
        const typename Spec::input window = input.read();
#pragma HLS aggregate variable=window compact=bit
        typename Spec::output result;
#pragma HLS aggregate variable=result compact=bit
        const int count = counts == 1 ? 1 : Spec::rows_inside[row] * Spec::columns_inside[column];
        scale by;
        by.mult = Spec::mults[count - 1];
        by.drop = Spec::drops[count - 1];
    each_lane:
        for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
            int sum = 0;
        each_tap:
            for (int tap = 0; tap < taps; ++tap) {
#pragma HLS unroll
                sum += window.lane[tap * lanes + lane];
            }
            by.bias = Spec::biases[biases == 1 ? 0 : group * lanes + lane];
            const ap_int<Spec::acc_bits> wrapped = sum;
            result.lane[lane] = requantize<Spec>(wrapped, by);
        }
        output.write(result);
        if (group != Spec::groups - 1) {
            ++group;
        } else {
            group = 0;
            if (column != Spec::width - 1) {
                ++column;
            } else {
                column = 0;
                row = row == Spec::height - 1 ? 0 : row + 1;
            }
        }
    }
}

}  // namespace deepdive

#endif
