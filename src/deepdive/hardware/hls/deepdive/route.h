// Route: hands every beat to the one or the other reader, or to both, as the block at hand wants it.
//
// Layer: beats (a frame), to_a, to_b.
#ifndef DEEPDIVE_ROUTE_H
#define DEEPDIVE_ROUTE_H

#include "deepdive/beat.h"

namespace deepdive {

template <class Beat, class Layer>
void route(hls::stream<Beat>& input, hls::stream<Beat>& output_a, hls::stream<Beat>& output_b, int frames, Layer layer) {
#pragma HLS inline off
    const int steps = frames * layer.beats;

steps_of_all_frames:
    for (int step = 0; step < steps; ++step) {
#pragma HLS pipeline II=1
        const Beat taken = input.read();
        if (layer.to_a) {
            output_a.write(taken);
        }
        if (layer.to_b) {
            output_b.write(taken);
        }
    }
}

}  // namespace deepdive

#endif
