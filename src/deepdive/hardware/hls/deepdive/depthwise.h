// Depthwise: one filter a channel, on windows; a step multiplies all taps of `lanes` channels and gives their codes.
//
// Spec: input (taps * lanes), output (beats), weight_bits, acc_bits, fabric (multipliers of LUTs, not DSPs).
// Layer, by default the Spec's own constants: pixels (a frame), groups (beats a pixel), weights_at and scales_at (where
// its words begin), half_up, zero_point, q_min, q_max.
#ifndef DEEPDIVE_DEPTHWISE_H
#define DEEPDIVE_DEPTHWISE_H

#include "deepdive/beat.h"
#include "deepdive/requantize.h"
#include "deepdive/weights.h"

namespace deepdive {

// `weights` has a word of (tap, lane) for each group of lanes, laid out as the windows are.
template <class Spec, class Weights, int ROWS, class Layer = Spec>
void depthwise(hls::stream<typename Spec::input>& input, hls::stream<typename Spec::output>& output,
               Weights& weights, const scale_word (&scales)[ROWS][Spec::output::size], int frames, Layer layer = Layer()) {
#pragma HLS inline off
    constexpr int lanes = Spec::output::size;
    constexpr int taps = Spec::input::size / lanes;

    const long long steps = static_cast<long long>(frames) * layer.pixels * layer.groups;
    int group = 0;

steps_of_all_frames:
    for (long long step = 0; step < steps; ++step) {
#pragma HLS pipeline II=1
        const typename Spec::input pixel = input.read();
#pragma HLS aggregate variable=pixel compact=bit
        ap_int<Spec::weight_bits> factors[taps * lanes];
#pragma HLS array_partition variable=factors type=complete
        fetch_weights<Spec::weight_bits, taps * lanes>(weights, layer.weights_at + group, factors);

        int products[lanes];
#pragma HLS array_partition variable=products type=complete
    clear:
        for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
            products[lane] = 0;
        }
    multiply_tap:
        for (int tap = 0; tap < taps; ++tap) {
#pragma HLS unroll
        multiply_lane:
            for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
                const short code = pixel.lane[tap * lanes + lane];
                const short factor = factors[tap * lanes + lane];
                if constexpr (Spec::fabric) {
                    const int product = code * factor;
#pragma HLS bind_op variable=product op=mul impl=fabric
                    products[lane] += product;
                } else {
                    products[lane] += code * factor;
                }
            }
        }
        typename Spec::output result;
#pragma HLS aggregate variable=result compact=bit
    requantize_lanes:
        for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
            result.lane[lane] = requantize<Spec>(products[lane], unpack_scale(scales[layer.scales_at + group][lane]), layer);
        }
        output.write(result);
        group = group == layer.groups - 1 ? 0 : group + 1;
    }
}

}  // namespace deepdive

#endif
