// Feature maps between memory and streams, in bursts; a frame follows the frame before it.
#ifndef DEEPDIVE_MAP_MEMORY_H
#define DEEPDIVE_MAP_MEMORY_H

#include "deepdive/beat.h"

namespace deepdive {

// Reads `words` words from `at` on.
template <class Word>
void read_map(const Word* memory, hls::stream<Word>& output, int at, int words) {
#pragma HLS inline off
read_burst:
    for (int word = 0; word < words; ++word) {
#pragma HLS pipeline II=1
        output.write(memory[at + word]);
    }
}

// Writes `words` words from `at` on.
template <class Word>
void write_map(hls::stream<Word>& input, Word* memory, int at, int words) {
#pragma HLS inline off
write_burst:
    for (int word = 0; word < words; ++word) {
#pragma HLS pipeline II=1
        memory[at + word] = input.read();
    }
}

}  // namespace deepdive

#endif
