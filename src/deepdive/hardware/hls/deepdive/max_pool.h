// Max pool: the largest code of each window; what lies in the padding is the smallest code there is.
//
// Spec: input (taps * lanes), output (beats), beats (a frame).
#ifndef DEEPDIVE_MAX_POOL_H
#define DEEPDIVE_MAX_POOL_H

#include "deepdive/beat.h"

namespace deepdive {

template <class Spec>
void max_pool(hls::stream<typename Spec::input>& input, hls::stream<typename Spec::output>& output, int frames) {
#pragma HLS inline off
    constexpr int lanes = Spec::output::size;
    constexpr int taps = Spec::input::size / lanes;

    const long long steps = static_cast<long long>(frames) * Spec::beats;

steps_of_all_frames:
    for (long long step = 0; step < steps; ++step) {
#pragma HLS pipeline II=1
        const typename Spec::input window = input.read();
#pragma HLS aggregate variable=window compact=bit
        typename Spec::output result;
#pragma HLS aggregate variable=result compact=bit
    each_lane:
        for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
            result.lane[lane] = window.lane[lane];
        each_tap:
            for (int tap = 1; tap < taps; ++tap) {
#pragma HLS unroll
                if (window.lane[tap * lanes + lane] > result.lane[lane]) {
                    result.lane[lane] = window.lane[tap * lanes + lane];
                }
            }
        }
        output.write(result);
    }
}

}  // namespace deepdive

#endif
