// Select: the counterpart of a route; takes every beat from the one or the other writer, as the block at hand wants it.
//
// Layer: beats (a frame), from_a.
#ifndef DEEPDIVE_SELECT_H
#define DEEPDIVE_SELECT_H

#include "deepdive/beat.h"

namespace deepdive {

template <class Beat, class Layer>
void select(hls::stream<Beat>& input_a, hls::stream<Beat>& input_b, hls::stream<Beat>& output, int frames, Layer layer) {
#pragma HLS inline off
    const int steps = frames * layer.beats;

steps_of_all_frames:
    for (int step = 0; step < steps; ++step) {
#pragma HLS pipeline II=1
        if (layer.from_a) {
            output.write(input_a.read());
        } else {
            output.write(input_b.read());
        }
    }
}

}  // namespace deepdive

#endif
