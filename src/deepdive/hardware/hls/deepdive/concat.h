// Concat: for every pixel the beats of one stream, then those of another.
//
// Spec: input_a, input_b, output (one type of beat), pixels (a frame), groups_a, groups_b (beats a pixel).
#ifndef DEEPDIVE_CONCAT_H
#define DEEPDIVE_CONCAT_H

#include "deepdive/beat.h"

namespace deepdive {

template <class Spec>
void concat(hls::stream<typename Spec::input_a>& input_a, hls::stream<typename Spec::input_b>& input_b,
            hls::stream<typename Spec::output>& output, int frames) {
#pragma HLS inline off
    constexpr int groups = Spec::groups_a + Spec::groups_b;

    const long long steps = static_cast<long long>(frames) * Spec::pixels * groups;
    int group = 0;

steps_of_all_frames:
    for (long long step = 0; step < steps; ++step) {
#pragma HLS pipeline II=1
        typename Spec::output taken;
#pragma HLS aggregate variable=taken compact=bit
        if (group < Spec::groups_a) {
            taken = input_a.read();
        } else {
            taken = input_b.read();
        }
        output.write(taken);
        group = group == groups - 1 ? 0 : group + 1;
    }
}

}  // namespace deepdive

#endif
