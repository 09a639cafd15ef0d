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

// Reads `ahead` words from `ahead_at` of one memory on, then `words` words from `at` of another, or the same, on.
template <class Word>
void read_maps(const Word* in_front, const Word* memory, hls::stream<Word>& output, int ahead_at, int ahead, int at,
               int words) {
#pragma HLS inline off
    read_map(in_front, output, ahead_at, ahead);
    read_map(memory, output, at, words);
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
