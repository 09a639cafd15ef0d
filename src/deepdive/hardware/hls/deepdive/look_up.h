// Look-up: the table of a shared unit; each block has rows of its own in one memory, codes are unsigned bytes.
//
// Spec: input, output (beats). Layer: beats (a frame), at (the row of code 0).
#ifndef DEEPDIVE_LOOK_UP_H
#define DEEPDIVE_LOOK_UP_H

#include "deepdive/beat.h"

namespace deepdive {

template <class Spec, int Rows, class Layer>
void look_up(hls::stream<typename Spec::input>& input, hls::stream<typename Spec::output>& output,
             const unsigned char (&codes)[Rows][1], int frames, Layer layer) {
#pragma HLS inline off
    constexpr int lanes = Spec::output::size;
    const int steps = frames * layer.beats;

steps_of_all_frames:
    for (int step = 0; step < steps; ++step) {
#pragma HLS pipeline II=1
        const typename Spec::input taken = input.read();
#pragma HLS aggregate variable=taken compact=bit
        typename Spec::output result;
#pragma HLS aggregate variable=result compact=bit
    look_up_lanes:
        for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
            result.lane[lane] = codes[layer.at + static_cast<int>(taken.lane[lane])][0];
        }
        output.write(result);
    }
}

}  // namespace deepdive

#endif
