// Residual add of two maps, each with its own scale: clip((((a - z_a) * m_a + (b - z_b) * m_b + half) >> shift) + z).
//
// Spec: input_a, input_b, output (beats), beats (a frame), zero_a, zero_b, mult_a, mult_b, shift, max_shift, half_up,
// zero_point, q_min, q_max.
#ifndef DEEPDIVE_ADD_H
#define DEEPDIVE_ADD_H

#include "deepdive/beat.h"
#include "deepdive/requantize.h"

namespace deepdive {

template <class Spec>
void add(hls::stream<typename Spec::input_a>& input_a, hls::stream<typename Spec::input_b>& input_b,
         hls::stream<typename Spec::output>& output, int frames) {
#pragma HLS inline off
    const long long steps = static_cast<long long>(frames) * Spec::beats;

steps_of_all_frames:
    for (long long step = 0; step < steps; ++step) {
#pragma HLS pipeline II=1
        const typename Spec::input_a a = input_a.read();
#pragma HLS aggregate variable=a compact=bit
        const typename Spec::input_b b = input_b.read();
#pragma HLS aggregate variable=b compact=bit
        typename Spec::output result;
#pragma HLS aggregate variable=result compact=bit
    add_lanes:
        for (int lane = 0; lane < Spec::output::size; ++lane) {
#pragma HLS unroll
            // 9 bits times 16 bits, twice.
            const int term_a = (static_cast<int>(a.lane[lane]) - Spec::zero_a) * Spec::mult_a;
            const int term_b = (static_cast<int>(b.lane[lane]) - Spec::zero_b) * Spec::mult_b;
            const ap_int<27> sum = term_a + term_b;
            result.lane[lane] = round_and_clip<Spec, 27>(sum, Spec::shift);
        }
        output.write(result);
    }
}

}  // namespace deepdive

#endif
