// Compute unit classifier (classifier).
// Computes:
//   classifier
#include "units/classifier.h"

#include "deepdive/dense.h"
#include "units/classifier_rom.h"

namespace {

struct classifier_linear_spec {
    using input = deepdive::beat<ap_uint<8>, 8>;
    using output = deepdive::beat<ap_uint<8>, 5>;
    static constexpr int pixels = 1;
    static constexpr int groups = 4;
    static constexpr int least_groups = 4;
    static constexpr int out_groups = 1;
    static constexpr int out_parallel = 10;
    static constexpr int weight_bits = 8;
    static constexpr int pair_field = 18;
    static constexpr int weights_at = 0;
    static constexpr int scales_at = 0;
    static constexpr bool drains = false;
    static constexpr bool fabric = false;
    static constexpr int acc_bits = 20;
    static constexpr int zero_point = 128;
    static constexpr int q_min = 0;
    static constexpr int q_max = 255;
    static constexpr bool half_up = true;
};

}  // namespace

void classifier_unit(
    hls::stream<classifier_input>& input,
    hls::stream<classifier_output>& output,
    int frames) {
#pragma HLS interface axis port=input
#pragma HLS interface axis port=output
#pragma HLS interface s_axilite port=frames bundle=control
#pragma HLS interface s_axilite port=return bundle=control
#pragma HLS dataflow
#pragma HLS array_reshape variable=classifier_linear_weights dim=2 type=complete
#pragma HLS bind_storage variable=classifier_linear_weights type=rom_1p impl=lutram
#pragma HLS array_reshape variable=classifier_linear_scales dim=2 type=complete
#pragma HLS bind_storage variable=classifier_linear_scales type=rom_1p impl=lutram

    deepdive::dense<classifier_linear_spec>(input, output, classifier_linear_weights, classifier_linear_scales, frames);
}
