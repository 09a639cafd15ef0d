// Weights of one step: from the ROM word, or from the stream of words read in external memory, to numbers.
#ifndef DEEPDIVE_WEIGHTS_H
#define DEEPDIVE_WEIGHTS_H

#include <ap_int.h>
#include <hls_stream.h>

#include "deepdive/beat.h"

namespace deepdive {

// Bits that a weight takes in a ROM: 2, 4, 8 or 16, so that bytes hold a whole number of them.
constexpr int container_bits(int weight_bits) {
    return weight_bits <= 2 ? 2 : weight_bits <= 4 ? 4 : weight_bits <= 8 ? 8 : 16;
}

// Bytes that `count` weights take.
constexpr int packed_bytes(int count, int weight_bits) { return (count * container_bits(weight_bits) + 7) / 8; }

// Unpack `COUNT` weights of BITS bits, the first in the lowest bits of the first byte, little endian.
template <int BITS, int COUNT>
void unpack_weights(const unsigned char (&bytes)[packed_bytes(COUNT, BITS)], ap_int<BITS> (&weights)[COUNT]) {
#pragma HLS inline
    constexpr int container = container_bits(BITS);
    if constexpr (container == 16) {
    unpack_pairs:
        for (int i = 0; i < COUNT; ++i) {
#pragma HLS unroll
            weights[i] = bytes[2 * i] | bytes[2 * i + 1] << 8;
        }
    } else {
        constexpr int per_byte = 8 / container;
    unpack_bytes:
        for (int i = 0; i < COUNT; ++i) {
#pragma HLS unroll
            weights[i] = bytes[i / per_byte] >> (container * (i % per_byte));
        }
    }
}

// The word at `address` of a ROM; all its bytes are read at once (the ROM is reshaped to one word a row).
template <int BITS, int COUNT, int DEPTH>
void fetch_weights(const unsigned char (&rom)[DEPTH][packed_bytes(COUNT, BITS)], int address,
                   ap_int<BITS> (&weights)[COUNT]) {
#pragma HLS inline
    unpack_weights<BITS, COUNT>(rom[address], weights);
}

// The next word of a stream: words come in the order of use, so the address is not needed.
template <int BITS, int COUNT>
void fetch_weights(hls::stream<beat<unsigned char, packed_bytes(COUNT, BITS)>>& words, int,
                   ap_int<BITS> (&weights)[COUNT]) {
#pragma HLS inline
    const beat<unsigned char, packed_bytes(COUNT, BITS)> word = words.read();
    unpack_weights<BITS, COUNT>(word.lane, weights);
}

}  // namespace deepdive

#endif
