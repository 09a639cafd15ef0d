// Table: every code of a beat is looked up at once.
//
// In a shared unit one memory holds the tables of all blocks.
//
// Spec: input, output (beats). Layer, by default the Spec's own constants: beats (a frame), first (the code that row 0 is for;
// negative where the block's table begins further down).
#ifndef DEEPDIVE_TABLE_H
#define DEEPDIVE_TABLE_H

#include "deepdive/beat.h"

namespace deepdive {

// `codes` has one row for each input code; it is read by all lanes in the same cycle.
template <class Spec, int ROWS, class Layer = Spec>
void table(hls::stream<typename Spec::input>& input, hls::stream<typename Spec::output>& output,
           const unsigned char (&codes)[ROWS][1], int frames, Layer layer = Layer()) {
#pragma HLS inline off
    constexpr int lanes = Spec::output::size;
    static_assert(Spec::input::size == lanes, "a table keeps its lanes");

    const long long steps = static_cast<long long>(frames) * layer.beats;

steps_of_all_frames:
    for (long long step = 0; step < steps; ++step) {
#pragma HLS pipeline II=1 style=flp
        const typename Spec::input taken = input.read();
#pragma HLS aggregate variable=taken compact=bit
        typename Spec::output result;
#pragma HLS aggregate variable=result compact=bit
    look_up_lanes:
        for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
            const int row = static_cast<int>(taken.lane[lane]) - layer.first;
            result.lane[lane] = codes[row][0];
        }
        output.write(result);
    }
}

}  // namespace deepdive

#endif
