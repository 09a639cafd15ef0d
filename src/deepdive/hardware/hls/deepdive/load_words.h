// Load words: fills a memory on chip with weights or scales from external memory, in one burst.
#ifndef DEEPDIVE_LOAD_WORDS_H
#define DEEPDIVE_LOAD_WORDS_H

#include "deepdive/memory_word.h"
#include "deepdive/requantize.h"

namespace deepdive {

// A row of weights is its bytes; one of scales has eight bytes a lane, little endian.
template <int COUNT>
void store_row(const unsigned char (&bytes)[COUNT], unsigned char (&row)[COUNT]) {
#pragma HLS inline
each_byte:
    for (int i = 0; i < COUNT; ++i) {
#pragma HLS unroll
        row[i] = bytes[i];
    }
}

template <int COUNT>
void store_row(const unsigned char (&bytes)[8 * COUNT], scale_word (&row)[COUNT]) {
#pragma HLS inline
each_scale:
    for (int i = 0; i < COUNT; ++i) {
#pragma HLS unroll
        scale_word word = 0;
    each_byte:
        for (int j = 0; j < 8; ++j) {
#pragma HLS unroll
            word |= static_cast<scale_word>(bytes[8 * i + j]) << (8 * j);
        }
        row[i] = word;
    }
}

// Reads `rows` rows from `at` on; returns where the next ones begin.
template <class Element, int DEPTH, int COUNT>
int load_words(const memory_word* memory, int at, int rows, Element (&target)[DEPTH][COUNT]) {
#pragma HLS inline off
    constexpr int bytes = static_cast<int>(sizeof(Element)) * COUNT;
    constexpr int parts = words_of(bytes);
    unsigned char word[bytes] = {};
#pragma HLS array_partition variable=word type=complete
    const int words = rows * parts;
    int part = 0;
    int row = 0;

read_burst:
    for (int step = 0; step < words; ++step) {
#pragma HLS pipeline II=1
        const memory_word read = memory[at + step];
#pragma HLS aggregate variable=read compact=bit
        place_part(read, part, word);
        if (part == parts - 1) {
            store_row(word, target[row]);
            part = 0;
            ++row;
        } else {
            ++part;
        }
    }
    return at + words;
}

}  // namespace deepdive

#endif
