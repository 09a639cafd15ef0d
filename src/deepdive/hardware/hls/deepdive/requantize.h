// From an accumulator to a code: clip(((acc * mult + half) >> shift) + zero_point, q_min, q_max).
#ifndef DEEPDIVE_REQUANTIZE_H
#define DEEPDIVE_REQUANTIZE_H

#include <ap_int.h>

namespace deepdive {

// A ROM word of one output channel: mult in bits 0-15, shift in bits 16-21, bias (signed) in bits 22-53.
typedef unsigned long long scale_word;

struct scale {
    int bias;
    int mult;  // 0..65535
    ap_uint<6> shift;  // 1..Spec::max_shift
};

inline scale unpack_scale(scale_word word) {
#pragma HLS inline
    scale result;
    result.mult = static_cast<int>(word & 0xFFFF);
    result.shift = static_cast<int>((word >> 16) & 0x3F);
    result.bias = static_cast<int>((word >> 22) & 0xFFFFFFFF);
    return result;
}

// The one place where a value is rounded, shifted and clipped. Spec: half_up, max_shift, zero_point, q_min, q_max.
template <class Spec, int BITS>
typename Spec::output::element round_and_clip(ap_int<BITS> value, ap_uint<6> shift) {
#pragma HLS inline
    // Wide enough for the value and for half, which may be larger: then every value rounds to zero.
    constexpr int width = (BITS > Spec::max_shift ? BITS : Spec::max_shift) + 1;
    ap_int<width> rounded = value;
    if constexpr (Spec::half_up) {
        const ap_int<width> one = 1;
        const ap_int<width> half = one << (shift - 1);
        rounded = rounded + half;
    }
    const ap_int<width> shifted = rounded >> shift;
    const ap_int<width + 1> moved = shifted + Spec::zero_point;
    const bool below = moved < Spec::q_min;
    const bool above = moved > Spec::q_max;
    return below ? Spec::q_min : above ? Spec::q_max : static_cast<int>(moved);
}

// `sum` lacks its bias. The compiler has proven that sum + bias fits Spec::acc_bits, so wrapping loses nothing.
template <class Spec>
typename Spec::output::element requantize(ap_int<Spec::acc_bits> sum, const scale& by) {
#pragma HLS inline
    const ap_int<Spec::acc_bits> acc = static_cast<long long>(sum) + by.bias;
    const ap_int<Spec::acc_bits + 17> product = static_cast<long long>(acc) * by.mult;
    return round_and_clip<Spec, Spec::acc_bits + 17>(product, by.shift);
}

}  // namespace deepdive

#endif
