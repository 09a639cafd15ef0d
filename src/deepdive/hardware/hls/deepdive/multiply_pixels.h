// The multipliers of a depthwise lane that two neighbouring pixels share: both pixels' codes times one filter, summed.
//
// (x1 << FIELD) + x0 times the weight is two products, FIELD bits apart, in one DSP48E2 (27 x 18 bits). Sums of such
// products stay packed as long as the lower one fits its field, as in multiply.h.
#ifndef DEEPDIVE_MULTIPLY_PIXELS_H
#define DEEPDIVE_MULTIPLY_PIXELS_H

#include <ap_int.h>

#include "deepdive/multiply.h"

namespace deepdive {

// sums[pixel] = sum over tap of codes[pixel][tap] * factors[tap * lanes + lane].
template <int BITS, int FIELD, int TAPS, int FACTORS>
void multiply_pixels(const short (&codes)[2][TAPS], const ap_int<BITS> (&factors)[FACTORS], int lane, int (&sums)[2]) {
#pragma HLS inline
    constexpr int terms = packed_terms(FIELD, BITS);
    constexpr int lanes = FACTORS / TAPS;
    static_assert(terms > 0 && FIELD > 0, "a product fits its field");
    static_assert(FIELD + 8 < 27, "two codes fit the wider operand of a multiplier");
    sums[0] = 0;
    sums[1] = 0;
chunks:
    for (int start = 0; start < TAPS; start += terms) {
#pragma HLS unroll
        long long packed = 0;
    multiply_chunk:
        for (int tap = start; tap < start + terms && tap < TAPS; ++tap) {
#pragma HLS unroll
            const typename packed_product<FIELD + 8 + BITS <= 32>::type factor = factors[tap * lanes + lane];
            packed += (codes[1][tap] * (1 << FIELD) + codes[0][tap]) * factor;
        }
        const ap_int<FIELD> low = packed;
        sums[0] += low;
        sums[1] += static_cast<int>((packed - low) >> FIELD);
    }
}

}  // namespace deepdive

#endif
