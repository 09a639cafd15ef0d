// From an accumulator to a code: clip(((acc * mult + half) >> shift) + zero_point, q_min, q_max).
#ifndef DEEPDIVE_REQUANTIZE_H
#define DEEPDIVE_REQUANTIZE_H

#include <ap_int.h>
#include <type_traits>

namespace deepdive {

// A ROM word of one output channel: mult in bits 0-15, drop in bits 16-21, bias (signed) in bits 22-53.
typedef unsigned long long scale_word;

struct scale {
    int bias;
    int mult;         // 0..65535
    ap_uint<6> drop;  // bits to drop before rounding: shift - 1 when half is rounded up, else shift
};

inline scale unpack_scale(scale_word word) {
#pragma HLS inline
    scale result;
    result.mult = static_cast<int>(word & 0xFFFF);
    result.drop = static_cast<int>((word >> 16) & 0x3F);
    result.bias = static_cast<int>((word >> 22) & 0xFFFFFFFF);
    return result;
}

// Whether what lies exactly between two codes goes to the even number; else up. Only Specs of pools have half_even.
template <class How, class = void>
struct ties_to_even : std::false_type {};
template <class How>
struct ties_to_even<How, typename std::enable_if<How::half_even>::type> : std::true_type {};

// The one place where a value is rounded, shifted and clipped. `how` has half_up, zero_point, q_min, q_max: of a streamed
// stage they are constants of its Spec, of a shared one they come with the block.
//
// (value + half) >> shift is ((value >> (shift - 1)) + 1) >> 1: one shifter and a short increment. A drop of at least
// BITS - 1 leaves nothing but the sign, whatever it is, so none is larger.
template <class Spec, int BITS, class How = Spec>
typename Spec::output::element round_and_clip(ap_int<BITS> value, ap_uint<6> drop, const How& how = How()) {
#pragma HLS inline
    const ap_int<BITS> dropped = value >> drop;
    const ap_int<BITS + 1> up = dropped + 1;
    const ap_int<BITS> rounded = how.half_up ? static_cast<ap_int<BITS>>(up >> 1) : dropped;
    // A tie leaves a one and nothing below it; rounding an odd number up has then gone one too far.
    const ap_uint<BITS> kept = static_cast<ap_uint<BITS>>(dropped) << drop;
    const bool tie = ties_to_even<How>::value && (dropped & 1) && kept == static_cast<ap_uint<BITS>>(value);
    const int excess = tie && (rounded & 1) ? 1 : 0;
    const ap_int<BITS + 1> moved = rounded - excess + how.zero_point;
    const bool below = moved < how.q_min;
    const bool above = moved > how.q_max;
    return below ? static_cast<int>(how.q_min) : above ? static_cast<int>(how.q_max) : static_cast<int>(moved);
}

// `sum` lacks its bias. The compiler has proven that sum + bias fits Spec::acc_bits, so wrapping loses nothing.
template <class Spec, class How = Spec>
typename Spec::output::element requantize(ap_int<Spec::acc_bits> sum, const scale& by, const How& how = How()) {
#pragma HLS inline
    constexpr int product_bits = Spec::acc_bits + 17;
    const ap_int<Spec::acc_bits> acc = static_cast<long long>(sum) + by.bias;
    const ap_int<product_bits> product = static_cast<long long>(acc) * by.mult;
    return round_and_clip<Spec, product_bits>(product, by.drop, how);
}

}  // namespace deepdive

#endif
