// Residual add of two maps, each with its own scale: clip((((a - z_a) * m_a + (b - z_b) * m_b + half) >> shift) + z).
//
// Codes are multiplied as they are; what the zero points add up to is a constant.
//
// Spec: input_a, input_b, output (beats). Layer, by default the Spec's own constants: pixels (a frame), groups (beats a
// pixel), mult_a, mult_b, biases[] (one, or one a channel), drop, half_up, zero_point, q_min, q_max.
#ifndef DEEPDIVE_ADD_H
#define DEEPDIVE_ADD_H

#include "deepdive/beat.h"
#include "deepdive/requantize.h"

namespace deepdive {

template <class Spec, class Layer = Spec>
void add(hls::stream<typename Spec::input_a>& input_a, hls::stream<typename Spec::input_b>& input_b,
         hls::stream<typename Spec::output>& output, int frames, Layer layer = Layer()) {
#pragma HLS inline off
    constexpr int lanes = Spec::output::size;
    constexpr int biases = sizeof(Layer::biases) / sizeof(Layer::biases[0]);

    const long long steps = static_cast<long long>(frames) * layer.pixels * layer.groups;
    int group = 0;

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
        for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
            // 8 bits times 16 bits, twice, less at most as much.
            const int term_a = static_cast<int>(a.lane[lane]) * layer.mult_a;
            const int term_b = static_cast<int>(b.lane[lane]) * layer.mult_b;
            const ap_int<27> sum = term_a + term_b + layer.biases[biases == 1 ? 0 : group * lanes + lane];
            result.lane[lane] = round_and_clip<Spec, 27>(sum, layer.drop, layer);
        }
        output.write(result);
        group = group == layer.groups - 1 ? 0 : group + 1;
    }
}

}  // namespace deepdive

#endif
