// Repack: changes how many channels a beat holds; one number of lanes divides the other.
//
// Spec: input, output (beats), beats (of the narrower stream, a frame).
#ifndef DEEPDIVE_REPACK_H
#define DEEPDIVE_REPACK_H

#include "deepdive/beat.h"

namespace deepdive {

// Move the lanes of a wide beat down by one narrow beat; what becomes free at the top keeps its value.
template <int NARROW, class Wide>
void move_down(Wide& wide) {
#pragma HLS inline
lanes_move_down:
    for (int lane = 0; lane < Wide::size - NARROW; ++lane) {
#pragma HLS unroll
        wide.lane[lane] = wide.lane[lane + NARROW];
    }
}

template <class Spec>
void repack(hls::stream<typename Spec::input>& input, hls::stream<typename Spec::output>& output, int frames) {
#pragma HLS inline off
    constexpr int lanes_in = Spec::input::size;
    constexpr int lanes_out = Spec::output::size;
    constexpr bool splits = lanes_in >= lanes_out;
    constexpr int narrow = splits ? lanes_out : lanes_in;
    constexpr int turns = (splits ? lanes_in : lanes_out) / narrow;
    static_assert(turns * narrow == (splits ? lanes_in : lanes_out), "one number of lanes divides the other");

    const long long steps = static_cast<long long>(frames) * Spec::beats;
    int turn = 0;
    typename Spec::input taken = {};
#pragma HLS aggregate variable=taken compact=bit
    typename Spec::output given = {};
#pragma HLS aggregate variable=given compact=bit

steps_of_all_frames:
    for (long long step = 0; step < steps; ++step) {
#pragma HLS pipeline II=1 style=flp
        if constexpr (splits) {
            if (turn == 0) {
                taken = input.read();
            } else {
                move_down<narrow>(taken);
            }
        split_lanes:
            for (int lane = 0; lane < narrow; ++lane) {
#pragma HLS unroll
                given.lane[lane] = taken.lane[lane];
            }
            output.write(given);
        } else {
            taken = input.read();
            move_down<narrow>(given);
        join_lanes:
            for (int lane = 0; lane < narrow; ++lane) {
#pragma HLS unroll
                given.lane[lanes_out - narrow + lane] = taken.lane[lane];
            }
            if (turn == turns - 1) {
                output.write(given);
            }
        }
        turn = turn == turns - 1 ? 0 : turn + 1;
    }
}

}  // namespace deepdive

#endif
