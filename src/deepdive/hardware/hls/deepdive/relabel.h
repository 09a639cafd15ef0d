// Relabel: moves every code by a constant, so that signed codes become unsigned ones and back.
//
// Spec: input, output (beats), beats (a frame), offset.
#ifndef DEEPDIVE_RELABEL_H
#define DEEPDIVE_RELABEL_H

#include "deepdive/beat.h"

namespace deepdive {

template <class Spec>
void relabel(hls::stream<typename Spec::input>& input, hls::stream<typename Spec::output>& output, int frames) {
#pragma HLS inline off
    constexpr int lanes = Spec::output::size;
    const int steps = frames * Spec::beats;

steps_of_all_frames:
    for (int step = 0; step < steps; ++step) {
#pragma HLS pipeline II=1
        const typename Spec::input taken = input.read();
#pragma HLS aggregate variable=taken compact=bit
        typename Spec::output result;
#pragma HLS aggregate variable=result compact=bit
    relabel_lanes:
        for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
            result.lane[lane] = static_cast<int>(taken.lane[lane]) + Spec::offset;
        }
        output.write(result);
    }
}

}  // namespace deepdive

#endif
