// External weights: reads weight words from memory in bursts, in the order in which a dense stage uses them.
//
// Spec: weights (beat of bytes: one weight word), words (weight words a pass), passes (pixels a frame: each reads them all).
#ifndef DEEPDIVE_EXTERNAL_WEIGHTS_H
#define DEEPDIVE_EXTERNAL_WEIGHTS_H

#include "deepdive/beat.h"
#include "deepdive/memory_word.h"

namespace deepdive {

// A weight word starts on a memory word; the last one's spare bytes are not used.
template <class Spec>
void external_weights(const memory_word* memory, hls::stream<typename Spec::weights>& output, int frames) {
#pragma HLS inline off
    constexpr int parts = words_of(Spec::weights::size);
    typename Spec::weights word = {};
#pragma HLS aggregate variable=word compact=bit

    const long long passes = static_cast<long long>(frames) * Spec::passes;
    int part = 0;

all_passes:
    for (long long pass = 0; pass < passes; ++pass) {
    read_burst:
        for (int at = 0; at < Spec::words * parts; ++at) {
#pragma HLS pipeline II=1
            const memory_word read = memory[at];
#pragma HLS aggregate variable=read compact=bit
            place_part(read, part, word.lane);
            if (part == parts - 1) {
                output.write(word);
                part = 0;
            } else {
                ++part;
            }
        }
    }
}

}  // namespace deepdive

#endif
