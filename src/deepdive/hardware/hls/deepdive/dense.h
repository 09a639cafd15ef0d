// Dense: pointwise, k x k and fully connected layers on one array of multipliers.
//
// For every pixel: for every group of out_parallel output channels: for every beat of the pixel: one step. The first
// group of output channels reads the pixel from the stream and keeps it, the later groups read it back. A finished group
// of sums moves aside and is requantized, `output` lanes a step, while the next group accumulates. All frames are one
// loop, so the pipeline never drains between pixels or frames.
//
// Codes enter the multipliers as they are: the zero point's part of every sum is a constant of the output channel, and the
// compiler has put it into the bias.
//
// Spec: input, output (beats), out_parallel, weight_bits, pair_field and fabric (FIELD and FABRIC of multiply.h), acc_bits,
// groups (most beats a pixel, for the array that keeps one), least_groups. Layer, by default the Spec's own constants: pixels (a frame), groups,
// out_groups, weights_at and scales_at (where its words begin), drains (whether a pixel's codes are all written before the
// next pixel is read), half_up, zero_point, q_min, q_max.
#ifndef DEEPDIVE_DENSE_H
#define DEEPDIVE_DENSE_H

#include "deepdive/beat.h"
#include "deepdive/multiply.h"
#include "deepdive/requantize.h"
#include "deepdive/weights.h"

namespace deepdive {

// `weights` is a ROM, one word of (input, output channel) a row, the output channel running fastest; or a stream of such
// words. `scales` has one row for each output beat of a pixel.
template <class Spec, class Weights, int ROWS, class Layer = Spec>
void dense(hls::stream<typename Spec::input>& input, hls::stream<typename Spec::output>& output, Weights& weights,
           const scale_word (&scales)[ROWS][Spec::output::size], int frames, Layer layer = Layer()) {
#pragma HLS inline off
    constexpr int inputs = Spec::input::size;
    constexpr int least_groups = Spec::least_groups;
    constexpr int outputs = Spec::out_parallel;
    constexpr int lanes = Spec::output::size;
    constexpr int turns = outputs / lanes;
    static_assert(outputs % lanes == 0, "a group of output channels is a whole number of output beats");
    static_assert(turns <= least_groups, "the requantizers must be done when the next group of sums is");

    typename Spec::input kept[Spec::groups];
#pragma HLS aggregate variable=kept compact=bit
#pragma HLS dependence variable=kept type=inter direction=RAW distance=least_groups dependent=true
    ap_int<Spec::acc_bits> sums[outputs];
#pragma HLS array_partition variable=sums type=complete
    ap_int<Spec::acc_bits> finished[outputs];
#pragma HLS array_partition variable=finished type=complete

    const int words = layer.out_groups * layer.groups;
    const int rows = layer.out_groups * turns;
    const long long multiplying = static_cast<long long>(frames) * layer.pixels * (words + (layer.drains ? turns : 0));
    const long long steps = multiplying + (layer.drains ? 0 : turns);
    int group = 0;
    int out_group = 0;
    int address = 0;    // of the weights
    int turn = turns;   // which output beat of the finished group is next; `turns` when all are written
    int row = 0;        // of the scales
    int draining = 0;   // steps until the next pixel may be read

steps_of_all_frames:
    for (long long step = 0; step < steps; ++step) {
#pragma HLS pipeline II=1 style=flp
        if (turn != turns) {
            typename Spec::output result;
#pragma HLS aggregate variable=result compact=bit
        requantize_lanes:
            for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
                result.lane[lane] = requantize<Spec>(finished[turn * lanes + lane], unpack_scale(scales[layer.scales_at + row][lane]), layer);
            }
            output.write(result);
            ++turn;
            row = row == rows - 1 ? 0 : row + 1;
        }
        if (draining != 0) {
            --draining;
        } else if (step < multiplying) {
            typename Spec::input pixel;
#pragma HLS aggregate variable=pixel compact=bit
            if (out_group == 0) {
                pixel = input.read();
                kept[group] = pixel;
            } else {
                pixel = kept[group];
            }
            ap_int<Spec::weight_bits> factors[inputs * outputs];
#pragma HLS array_partition variable=factors type=complete
            fetch_weights<Spec::weight_bits, inputs * outputs>(weights, layer.weights_at + address, factors);

            int products[outputs];
#pragma HLS array_partition variable=products type=complete
            multiply<Spec::weight_bits, Spec::pair_field, Spec::fabric, inputs, outputs>(pixel.lane, factors, products);
        accumulate:
            for (int out = 0; out < outputs; ++out) {
#pragma HLS unroll
                // Unsigned, because a sum may wrap on the way: only the end result must fit.
                const unsigned before = group == 0 ? 0 : static_cast<int>(sums[out]);
                sums[out] = static_cast<int>(before + static_cast<unsigned>(products[out]));
            }

            address = address == words - 1 ? 0 : address + 1;
            if (group != layer.groups - 1) {
                ++group;
            } else {
            set_aside:
                for (int out = 0; out < outputs; ++out) {
#pragma HLS unroll
                    finished[out] = sums[out];
                }
                turn = 0;
                group = 0;
                draining = layer.drains && out_group == layer.out_groups - 1 ? turns : 0;
                out_group = out_group == layer.out_groups - 1 ? 0 : out_group + 1;
            }
        }
    }
}

}  // namespace deepdive

#endif
