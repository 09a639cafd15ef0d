// Depthwise on windows of two neighbouring output pixels, which share their multipliers; their codes leave one pixel after
// the other.
//
// A beat takes two steps, the lower and the upper half of its lanes. A step gives half a beat of each pixel; whole beats
// wait in one memory for either pixel, until all beats of the pixel before them have left.
//
// Spec: input (window taps * lanes), output (beats), pairs (of pixels, a frame), groups (beats a pixel), weight_bits,
// acc_bits, kernel_height, kernel_width, step (the horizontal stride), pair_field (bits between the two products),
// first_depth and second_depth (beats that can wait), and what requantize.h asks for.
#ifndef DEEPDIVE_DEPTHWISE_PAIRS_H
#define DEEPDIVE_DEPTHWISE_PAIRS_H

#include "deepdive/beat.h"
#include "deepdive/multiply_pixels.h"
#include "deepdive/requantize.h"
#include "deepdive/weights.h"

namespace deepdive {

// The code that a tap of a pixel's filter takes from the chosen half of the windows' lanes.
template <class Spec>
short pair_code(const typename Spec::input& windows, bool upper, int pixel, int tap, int lane) {
#pragma HLS inline
    constexpr int lanes = Spec::output::size;
    const int column = pixel * Spec::step + tap % Spec::kernel_width;
    const int position = tap / Spec::kernel_width * (Spec::kernel_width + Spec::step) + column;
    const short low = windows.lane[position * lanes + lane];
    const short high = windows.lane[position * lanes + lanes / 2 + lane];
    return upper ? high : low;
}

// `weights` has a word of (tap, lane), `scales` one of lanes for each half of each group.
template <class Spec, class Weights, int ROWS>
void depthwise_pairs(hls::stream<typename Spec::input>& input, hls::stream<typename Spec::output>& output,
                     Weights& weights, const scale_word (&scales)[ROWS][Spec::output::size / 2], int frames) {
#pragma HLS inline off
    using element = typename Spec::output::element;
    constexpr int lanes = Spec::output::size / 2;
    constexpr int taps = Spec::kernel_height * Spec::kernel_width;
    constexpr int words = 2 * Spec::groups;
    static_assert(Spec::output::size % 2 == 0, "both halves of a beat have as many lanes");
    static_assert(Spec::input::size == Spec::kernel_height * (Spec::kernel_width + Spec::step) * 2 * lanes,
                  "a window holds what both pixels need");

    element first[Spec::first_depth][2 * lanes];
#pragma HLS array_reshape variable=first dim=2 type=complete
    element second[Spec::second_depth][2 * lanes];
#pragma HLS array_reshape variable=second dim=2 type=complete
    element lower[2][lanes] = {};  // the codes of either pixel that wait for the upper half of their beat
#pragma HLS array_partition variable=lower dim=0 type=complete

    const long long reads = static_cast<long long>(frames) * Spec::pairs * words;
    const long long steps = reads + Spec::groups + 1;
    int word = 0;
    int first_in = 0;  // where the next beats are written, and read
    int second_in = 0;
    int first_out = 0;
    int second_out = 0;
    int leaving = 0;  // beats of the pair at hand that have left
    typename Spec::input windows;
#pragma HLS aggregate variable=windows compact=bit

steps_of_all_frames:
    for (long long step = 0; step < steps; ++step) {
#pragma HLS pipeline II=1
        // The beat that leaves was whole a step ago at the latest.
        if (step > Spec::groups) {
            const bool is_first = leaving < Spec::groups;
            typename Spec::output result;
#pragma HLS aggregate variable=result compact=bit
        leave:
            for (int lane = 0; lane < 2 * lanes; ++lane) {
#pragma HLS unroll
                result.lane[lane] = is_first ? first[first_out][lane] : second[second_out][lane];
            }
            output.write(result);
            if (is_first) {
                first_out = first_out == Spec::first_depth - 1 ? 0 : first_out + 1;
            } else {
                second_out = second_out == Spec::second_depth - 1 ? 0 : second_out + 1;
            }
            leaving = leaving == words - 1 ? 0 : leaving + 1;
        }
        if (step < reads) {
            const bool upper = step % 2 == 1;
            if (!upper) {
                windows = input.read();
            }
            ap_int<Spec::weight_bits> factors[taps * lanes];
#pragma HLS array_partition variable=factors type=complete
            fetch_weights<Spec::weight_bits, taps * lanes>(weights, word, factors);
            element made[2][lanes];
#pragma HLS array_partition variable=made dim=0 type=complete
        multiply_lane:
            for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
                short codes[2][taps];
#pragma HLS array_partition variable=codes dim=0 type=complete
            gather:
                for (int tap = 0; tap < taps; ++tap) {
#pragma HLS unroll
                    codes[0][tap] = pair_code<Spec>(windows, upper, 0, tap, lane);
                    codes[1][tap] = pair_code<Spec>(windows, upper, 1, tap, lane);
                }
                int sums[2];
#pragma HLS array_partition variable=sums type=complete
                multiply_pixels<Spec::weight_bits, Spec::pair_field>(codes, factors, lane, sums);
                const scale by = unpack_scale(scales[word][lane]);
                made[0][lane] = requantize<Spec>(sums[0], by);
                made[1][lane] = requantize<Spec>(sums[1], by);
            }
        wait_lane:
            for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
                if (upper) {
                    first[first_in][lane] = lower[0][lane];
                    first[first_in][lanes + lane] = made[0][lane];
                    second[second_in][lane] = lower[1][lane];
                    second[second_in][lanes + lane] = made[1][lane];
                }
                lower[0][lane] = made[0][lane];
                lower[1][lane] = made[1][lane];
            }
            if (upper) {
                first_in = first_in == Spec::first_depth - 1 ? 0 : first_in + 1;
                second_in = second_in == Spec::second_depth - 1 ? 0 : second_in + 1;
            }
            word = word == words - 1 ? 0 : word + 1;
        }
    }
}

}  // namespace deepdive

#endif
