// From an accumulator to a code: clip(((acc * mult + half) >> shift) + zero_point, q_min, q_max).
#ifndef DEEPDIVE_REQUANTIZE_H
#define DEEPDIVE_REQUANTIZE_H

#include <ap_int.h>

namespace deepdive {

// A ROM word of one output channel: mult in bits 0-15, shift in bits 16-21, bias (signed) in bits 22-53.
typedef unsigned long long scale_word;

struct scale {
    int bias;
    int mult;   // 0..65535
    int shift;  // 1..48
};

inline scale unpack_scale(scale_word word) {
#pragma HLS inline
    scale result;
    result.mult = static_cast<int>(word & 0xFFFF);
    result.shift = static_cast<int>((word >> 16) & 0x3F);
    result.bias = static_cast<int>((word >> 22) & 0xFFFFFFFF);
    return result;
}

// The one place where a value is rounded, shifted and clipped. Spec: half_up, zero_point, q_min, q_max, output.
// A product never has more than 33 + 16 bits; what a stage cannot reach, its types cut off before.
template <class Spec, int BITS>
typename Spec::output::element round_and_clip(ap_int<BITS> product, int shift) {
#pragma HLS inline
    static_assert(BITS <= 56, "half must fit beside the product");
    const long long wide = product;
    const long long half = Spec::half_up ? 1LL << (shift - 1) : 0LL;
    const long long shifted = ((wide + half) >> shift) + Spec::zero_point;
    const long long low = shifted < Spec::q_min ? static_cast<long long>(Spec::q_min) : shifted;
    return static_cast<int>(low > Spec::q_max ? static_cast<long long>(Spec::q_max) : low);
}

// `sum` without its bias. The compiler has proven that sum + bias fits Spec::acc_bits, so wrapping loses nothing.
template <class Spec>
typename Spec::output::element requantize(ap_int<Spec::acc_bits> sum, const scale& by) {
#pragma HLS inline
    const ap_int<Spec::acc_bits> acc = static_cast<long long>(sum) + by.bias;
    const ap_int<Spec::acc_bits + 17> product = static_cast<long long>(acc) * by.mult;
    return round_and_clip<Spec, Spec::acc_bits + 17>(product, by.shift);
}

}  // namespace deepdive

#endif
