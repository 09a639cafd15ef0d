// Depthwise: one filter a channel, on windows; a step multiplies all taps of `lanes` channels and gives their codes.
//
// With fewer multipliers a lane than taps, a beat takes several steps: each multiplies the next taps of an order, and the
// sums grow from step to step. A filter that is done with the first of them takes fewer steps.
//
// Spec: input (taps * lanes), output (beats), weight_bits, acc_bits, fabric (multipliers of LUTs, not DSPs), parallel
// (multipliers a lane), order (the taps in the order of use).
// Layer, by default the Spec's own constants: pixels (a frame), groups (beats a pixel), turns (steps a beat), weights_at
// and scales_at (where its words begin), half_up, zero_point, q_min, q_max.
#ifndef DEEPDIVE_DEPTHWISE_H
#define DEEPDIVE_DEPTHWISE_H

#include "deepdive/beat.h"
#include "deepdive/requantize.h"
#include "deepdive/weights.h"

namespace deepdive {

// The code of a lane that multiplier `at` of step `turn` takes; beyond the last tap any code, whose weight is zero.
template <class Spec>
short tap_code(const typename Spec::input& windows, int turn, int at, int lane) {
#pragma HLS inline
    constexpr int lanes = Spec::output::size;
    constexpr int taps = Spec::input::size / lanes;
    short code = 0;
choose:
    for (int first = 0; first < taps; first += Spec::parallel) {
#pragma HLS unroll
        if (first + at < taps && (first == 0 || turn * Spec::parallel == first)) {
            code = windows.lane[Spec::order[first + at] * lanes + lane];
        }
    }
    return code;
}

// `weights` has a word of (tap, lane) for each step of each group of lanes.
template <class Spec, class Weights, int ROWS, class Layer = Spec>
void depthwise(hls::stream<typename Spec::input>& input, hls::stream<typename Spec::output>& output,
               Weights& weights, const scale_word (&scales)[ROWS][Spec::output::size], int frames, Layer layer = Layer()) {
#pragma HLS inline off
    constexpr int lanes = Spec::output::size;
    constexpr int parallel = Spec::parallel;

    const long long steps = static_cast<long long>(frames) * layer.pixels * layer.groups * layer.turns;
    const int words = layer.groups * layer.turns;
    int group = 0;
    int turn = 0;
    int address = 0;  // of the weights
    typename Spec::input windows;
#pragma HLS aggregate variable=windows compact=bit
    int sums[lanes];
#pragma HLS array_partition variable=sums type=complete

steps_of_all_frames:
    for (long long step = 0; step < steps; ++step) {
#pragma HLS pipeline II=1
        if (turn == 0) {
            windows = input.read();
        }
        ap_int<Spec::weight_bits> factors[parallel * lanes];
#pragma HLS array_partition variable=factors type=complete
        fetch_weights<Spec::weight_bits, parallel * lanes>(weights, layer.weights_at + address, factors);

        int products[lanes];
#pragma HLS array_partition variable=products type=complete
    clear:
        for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
            products[lane] = 0;
        }
    multiply_tap:
        for (int tap = 0; tap < parallel; ++tap) {
#pragma HLS unroll
        multiply_lane:
            for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
                const short code = tap_code<Spec>(windows, turn, tap, lane);
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
    accumulate:
        for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
            sums[lane] = products[lane] + (turn == 0 ? 0 : sums[lane]);
        }
        address = address == words - 1 ? 0 : address + 1;
        if (turn == layer.turns - 1) {
            typename Spec::output result;
#pragma HLS aggregate variable=result compact=bit
        requantize_lanes:
            for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
                result.lane[lane] = requantize<Spec>(sums[lane], unpack_scale(scales[layer.scales_at + group][lane]), layer);
            }
            output.write(result);
            group = group == layer.groups - 1 ? 0 : group + 1;
            turn = 0;
        } else {
            ++turn;
        }
    }
}

}  // namespace deepdive

#endif
