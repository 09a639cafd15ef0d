// Repack: changes how many channels a beat holds; one number of lanes divides the other.
//
// In a shared unit a pixel may be padded to different numbers of channels on both sides: what the output has more is
// zeros, what the input has more is dropped.
//
// Spec: input, output (beats). Layer, by default the Spec's own constants: pixels (a frame), reads, writes (a pixel's beats,
// counted in those of the narrower side).
#ifndef DEEPDIVE_REPACK_H
#define DEEPDIVE_REPACK_H

#include "deepdive/beat.h"

namespace deepdive {

// Zeros in every lane.
template <class Beat>
void clear(Beat& beat) {
#pragma HLS inline
clear_lanes:
    for (int lane = 0; lane < Beat::size; ++lane) {
#pragma HLS unroll
        beat.lane[lane] = 0;
    }
}

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

template <class Spec, class Layer = Spec>
void repack(hls::stream<typename Spec::input>& input, hls::stream<typename Spec::output>& output, int frames,
            Layer layer = Layer()) {
#pragma HLS inline off
    constexpr int lanes_in = Spec::input::size;
    constexpr int lanes_out = Spec::output::size;
    constexpr bool splits = lanes_in >= lanes_out;
    constexpr int narrow = splits ? lanes_out : lanes_in;
    constexpr int turns = (splits ? lanes_in : lanes_out) / narrow;
    static_assert(turns * narrow == (splits ? lanes_in : lanes_out), "one number of lanes divides the other");

    const int beats = layer.reads > layer.writes ? layer.reads : layer.writes;
    const long long steps = static_cast<long long>(frames) * layer.pixels * beats;
    int turn = 0;
    int beat = 0;  // of the pixel, in beats of the narrower side
    typename Spec::input taken = {};
#pragma HLS aggregate variable=taken compact=bit
    typename Spec::output given = {};
#pragma HLS aggregate variable=given compact=bit

steps_of_all_frames:
    for (long long step = 0; step < steps; ++step) {
#pragma HLS pipeline II=1 style=flp
        const bool reads = layer.reads == beats || beat < layer.reads;
        const bool writes = layer.writes == beats || beat < layer.writes;
        if constexpr (splits) {
            if (turn == 0) {
                if (reads) {
                    taken = input.read();
                } else {
                    clear(taken);
                }
            } else {
                move_down<narrow>(taken);
            }
        split_lanes:
            for (int lane = 0; lane < narrow; ++lane) {
#pragma HLS unroll
                given.lane[lane] = taken.lane[lane];
            }
            if (writes) {
                output.write(given);
            }
        } else {
            if (reads) {
                taken = input.read();
            } else {
                clear(taken);
            }
            move_down<narrow>(given);
        join_lanes:
            for (int lane = 0; lane < narrow; ++lane) {
#pragma HLS unroll
                given.lane[lanes_out - narrow + lane] = taken.lane[lane];
            }
            if (turn == turns - 1 && writes) {
                output.write(given);
            }
        }
        turn = turn == turns - 1 ? 0 : turn + 1;
        if (beat != beats - 1) {
            ++beat;
        } else {
            beat = 0;
            turn = 0;
        }
    }
}

}  // namespace deepdive

#endif
