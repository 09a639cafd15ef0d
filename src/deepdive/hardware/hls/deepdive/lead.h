// Lead: hands what comes in front of a batch to one reader, and the batch to another.
//
// Layer: ahead (beats a frame that come in front of all frames), beats (a frame).
#ifndef DEEPDIVE_LEAD_H
#define DEEPDIVE_LEAD_H

#include "deepdive/beat.h"

namespace deepdive {

template <class Beat, class Layer>
void lead(hls::stream<Beat>& input, hls::stream<Beat>& in_front, hls::stream<Beat>& output, int frames, Layer layer) {
#pragma HLS inline off
    const int ahead = frames * layer.ahead;
    const int steps = ahead + frames * layer.beats;

steps_of_all_frames:
    for (int step = 0; step < steps; ++step) {
#pragma HLS pipeline II=1
        const Beat taken = input.read();
        if (step < ahead) {
            in_front.write(taken);
        } else {
            output.write(taken);
        }
    }
}

}  // namespace deepdive

#endif
