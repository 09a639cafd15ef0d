// Fork: one stream to two readers.
//
// Spec: input, output_a, output_b (one type of beat), beats (a frame).
#ifndef DEEPDIVE_FORK_H
#define DEEPDIVE_FORK_H

#include "deepdive/beat.h"

namespace deepdive {

template <class Spec>
void fork(hls::stream<typename Spec::input>& input, hls::stream<typename Spec::output_a>& output_a,
          hls::stream<typename Spec::output_b>& output_b, int frames) {
#pragma HLS inline off
    const long long steps = static_cast<long long>(frames) * Spec::beats;

steps_of_all_frames:
    for (long long step = 0; step < steps; ++step) {
#pragma HLS pipeline II=1
        const typename Spec::input taken = input.read();
#pragma HLS aggregate variable=taken compact=bit
        output_a.write(taken);
        output_b.write(taken);
    }
}

}  // namespace deepdive

#endif
