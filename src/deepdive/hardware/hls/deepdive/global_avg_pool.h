// Global average pool: one sum a channel over all pixels of a frame, requantized during the last pixel.
//
// The first pixel overwrites the sums of the frame before, so frames follow each other without a pause. The bias is what
// the zero points add up to; 1 / pixels is part of mult and shift.
//
// Spec: input, output (beats), acc_bits, groups (the most beats of a pixel, for the array of sums), least_groups. Layer, by
// default the Spec's own constants: pixels (a frame), groups, biases[] (one, or one a channel), mult, drop, half_up,
// zero_point, q_min, q_max.
#ifndef DEEPDIVE_GLOBAL_AVG_POOL_H
#define DEEPDIVE_GLOBAL_AVG_POOL_H

#include "deepdive/beat.h"
#include "deepdive/requantize.h"

namespace deepdive {

template <class Spec, class Layer = Spec>
void global_avg_pool(hls::stream<typename Spec::input>& input, hls::stream<typename Spec::output>& output, int frames,
                     Layer layer = Layer()) {
#pragma HLS inline off
    constexpr int lanes = Spec::input::size;
    constexpr int least_groups = Spec::least_groups;
    static_assert(0 < least_groups && least_groups <= Spec::groups, "the fewest groups are no more than the most");
    constexpr int biases = sizeof(Layer::biases) / sizeof(Layer::biases[0]);
    static_assert(Spec::output::size == lanes, "the pool keeps its lanes");

    // One word of all lanes: read and written back in each step, the same address only after a pixel's steps.
    ap_int<Spec::acc_bits> sums[Spec::groups][lanes];
#pragma HLS array_reshape variable=sums dim=2 type=complete
#pragma HLS dependence variable=sums type=inter direction=RAW distance=least_groups dependent=true

    const long long steps = static_cast<long long>(frames) * layer.pixels * layer.groups;
    int group = 0;
    int pixel = 0;

steps_of_all_frames:
    for (long long step = 0; step < steps; ++step) {
#pragma HLS pipeline II=1
        const typename Spec::input taken = input.read();
#pragma HLS aggregate variable=taken compact=bit
        typename Spec::output result;
#pragma HLS aggregate variable=result compact=bit
    add_lanes:
        for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
            const unsigned before = pixel == 0 ? 0 : static_cast<int>(sums[group][lane]);
            const ap_int<Spec::acc_bits> sum =
                static_cast<int>(before + static_cast<unsigned>(static_cast<int>(taken.lane[lane])));
            sums[group][lane] = sum;
            scale by;
            by.bias = layer.biases[biases == 1 ? 0 : group * lanes + lane];
            by.mult = layer.mult;
            by.drop = layer.drop;
            result.lane[lane] = requantize<Spec>(sum, by, layer);
        }
        if (pixel == layer.pixels - 1) {
            output.write(result);
        }
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
