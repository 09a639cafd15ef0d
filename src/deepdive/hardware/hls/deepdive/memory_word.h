// What one beat of a memory port carries, and how longer words are put together from several.
#ifndef DEEPDIVE_MEMORY_WORD_H
#define DEEPDIVE_MEMORY_WORD_H

namespace deepdive {

// 128 bits.
struct memory_word {
    static constexpr int size = 16;
    unsigned char byte[size];
};

// Memory words that so many bytes take: they start on one, and the last one's spare bytes are not used.
constexpr int words_of(int bytes) { return (bytes + memory_word::size - 1) / memory_word::size; }

// Puts `read` where the part with that number lies in the word; bytes beyond the word are dropped.
template <int BYTES>
void place_part(const memory_word& read, int part, unsigned char (&word)[BYTES]) {
#pragma HLS inline
each_part:
    for (int i = 0; i < words_of(BYTES); ++i) {
#pragma HLS unroll
    each_byte:
        for (int j = 0; j < memory_word::size; ++j) {
#pragma HLS unroll
            if (i == part && i * memory_word::size + j < BYTES) {
                word[i * memory_word::size + j] = read.byte[j];
            }
        }
    }
}

}  // namespace deepdive

#endif
