// The multiplier array of a dense stage: every input code times its weight for every output channel, summed.
//
// Two output channels can share a multiplier: (w1 << FIELD) + w0 times the code is two products, FIELD bits apart, in one
// DSP48E2 (27 x 18 bits). Sums of such products stay packed as long as the lower one fits its field, then they are taken
// apart: a negative lower sum has borrowed one from the upper.
#ifndef DEEPDIVE_MULTIPLY_H
#define DEEPDIVE_MULTIPLY_H

#include <ap_int.h>

namespace deepdive {

// Products of a weight and an 8-bit code whose sum fits the lower field: 64 for 4-bit weights 18 bits apart, 4 for 8-bit ones.
constexpr int packed_terms(int field, int weight_bits) {
    return field == 0 ? 1 : ((1 << (field - 1)) - 1) / (255 << (weight_bits - 1));
}

// What holds two packed products: one that is narrow makes the C simulation fast.
template <bool NARROW>
struct packed_product {
    using type = int;
};

template <>
struct packed_product<false> {
    using type = long long;
};

// sums[out] = sum over in of codes[in] * factors[in * OUTPUTS + out]; with FIELD 0 every product has its own multiplier,
// with FABRIC one of LUTs.
template <int BITS, int FIELD, bool FABRIC, int INPUTS, int OUTPUTS, class Code>
void multiply(const Code (&codes)[INPUTS], const ap_int<BITS> (&factors)[INPUTS * OUTPUTS], int (&sums)[OUTPUTS]) {
#pragma HLS inline
    static_assert(FIELD == 0 || !FABRIC, "multipliers of LUTs share nothing");
clear:
    for (int out = 0; out < OUTPUTS; ++out) {
#pragma HLS unroll
        sums[out] = 0;
    }
    if constexpr (FIELD != 0 && OUTPUTS > 1) {
        constexpr int terms = packed_terms(FIELD, BITS);
        constexpr int pairs = (OUTPUTS + 1) / 2;
        static_assert(terms > 0 && FIELD + BITS < 27, "two weights fit the wider operand of a multiplier, a product its field");
    chunks:
        for (int start = 0; start < INPUTS; start += terms) {
#pragma HLS unroll
            long long packed[pairs];
#pragma HLS array_partition variable=packed type=complete
        clear_pairs:
            for (int pair = 0; pair < pairs; ++pair) {
#pragma HLS unroll
                packed[pair] = 0;
            }
        multiply_chunk:
            for (int in = start; in < start + terms && in < INPUTS; ++in) {
#pragma HLS unroll
                const typename packed_product<FIELD + BITS + 8 <= 32>::type code = codes[in];
            multiply_pair:
                for (int pair = 0; pair < pairs; ++pair) {
#pragma HLS unroll
                    const int at = in * OUTPUTS + 2 * pair;
                    const int low = factors[at];
                    const int high = 2 * pair + 1 < OUTPUTS ? static_cast<int>(factors[at + 1]) : 0;
                    packed[pair] += (high * (1 << FIELD) + low) * code;
                }
            }
        take_apart:
            for (int pair = 0; pair < pairs; ++pair) {
#pragma HLS unroll
                const ap_int<FIELD> low = packed[pair];
                sums[2 * pair] += low;
                if (2 * pair + 1 < OUTPUTS) {
                    sums[2 * pair + 1] += static_cast<int>((packed[pair] - low) >> FIELD);
                }
            }
        }
    } else {
    multiply_input:
        for (int in = 0; in < INPUTS; ++in) {
#pragma HLS unroll
            const short code = codes[in];
        multiply_output:
            for (int out = 0; out < OUTPUTS; ++out) {
#pragma HLS unroll
                const short factor = factors[in * OUTPUTS + out];
                if constexpr (FABRIC) {
                    const int product = code * factor;
#pragma HLS bind_op variable=product op=mul impl=fabric
                    sums[out] += product;
                } else {
                    sums[out] += code * factor;
                }
            }
        }
    }
}

}  // namespace deepdive

#endif
