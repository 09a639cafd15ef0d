// Table: every code of a beat is looked up at once.
//
// The first row is that of the smallest code, `first`.
//
// Spec: input, output (beats), beats (a frame), codes (rows of the table), first.
#ifndef DEEPDIVE_TABLE_H
#define DEEPDIVE_TABLE_H

#include "deepdive/beat.h"

namespace deepdive {

// `codes` has one row for each input code; it is read by all lanes in the same cycle.
template <class Spec>
void table(hls::stream<typename Spec::input>& input, hls::stream<typename Spec::output>& output,
           const unsigned char (&codes)[Spec::codes][1], int frames) {
#pragma HLS inline off
    constexpr int lanes = Spec::output::size;
    static_assert(Spec::input::size == lanes, "a table keeps its lanes");

    const long long steps = static_cast<long long>(frames) * Spec::beats;

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
            const int row = static_cast<int>(taken.lane[lane]) - Spec::first;
            result.lane[lane] = codes[row][0];
        }
        output.write(result);
    }
}

}  // namespace deepdive

#endif
