// Channel scale: every pixel of a map times one factor a channel, requantized.
//
// The factors of a frame come with its first pixel and are kept for the others.
//
// Spec: input, factors, output (beats), acc_bits, groups (the most beats of a pixel, for the array of factors),
// least_groups. Layer, by default the Spec's own constants: pixels (a frame), groups, zeros_input[], zeros_factors[] (one,
// or one a channel), mult, drop, half_up, zero_point, q_min, q_max.
#ifndef DEEPDIVE_CHANNEL_SCALE_H
#define DEEPDIVE_CHANNEL_SCALE_H

#include "deepdive/beat.h"
#include "deepdive/requantize.h"

namespace deepdive {

template <class Spec, class Layer = Spec>
void channel_scale(hls::stream<typename Spec::input>& input, hls::stream<typename Spec::factors>& factors,
                   hls::stream<typename Spec::output>& output, int frames, Layer layer = Layer()) {
#pragma HLS inline off
    constexpr int lanes = Spec::output::size;
    constexpr int least_groups = Spec::least_groups;
    static_assert(0 < least_groups && least_groups <= Spec::groups, "the fewest groups are no more than the most");
    constexpr int zeros_input = sizeof(Layer::zeros_input) / sizeof(Layer::zeros_input[0]);
    constexpr int zeros_factors = sizeof(Layer::zeros_factors) / sizeof(Layer::zeros_factors[0]);

    typename Spec::factors kept[Spec::groups];
#pragma HLS aggregate variable=kept compact=bit
#pragma HLS dependence variable=kept type=inter direction=RAW distance=least_groups dependent=true

    const long long steps = static_cast<long long>(frames) * layer.pixels * layer.groups;
    int group = 0;
    int pixel = 0;

steps_of_all_frames:
    for (long long step = 0; step < steps; ++step) {
#pragma HLS pipeline II=1
        typename Spec::factors by;
#pragma HLS aggregate variable=by compact=bit
        if (pixel == 0) {
            by = factors.read();
            kept[group] = by;
        } else {
            by = kept[group];
        }
        const typename Spec::input taken = input.read();
#pragma HLS aggregate variable=taken compact=bit
        typename Spec::output result;
#pragma HLS aggregate variable=result compact=bit
        scale how;
        how.bias = 0;
        how.mult = layer.mult;
        how.drop = layer.drop;
    scale_lanes:
        for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
            const int channel = group * lanes + lane;
            const int code = static_cast<int>(taken.lane[lane]) - layer.zeros_input[zeros_input == 1 ? 0 : channel];
            const int factor = static_cast<int>(by.lane[lane]) - layer.zeros_factors[zeros_factors == 1 ? 0 : channel];
            const ap_int<Spec::acc_bits> product = code * factor;
            result.lane[lane] = requantize<Spec>(product, how, layer);
        }
        output.write(result);
        if (group != layer.groups - 1) {
            ++group;
        } else {
            group = 0;
            pixel = pixel == layer.pixels - 1 ? 0 : pixel + 1;
        }
    }
}

}  // namespace deepdive

#endif
