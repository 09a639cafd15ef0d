// Compute unit classifier (classifier).
// Computes:
//   classifier
#include "units/classifier.h"

#include "deepdive/dense.h"
#include "units/classifier_rom.h"

namespace {

struct classifier_linear_spec {
    using input = deepdive::beat<ap_uint<8>, 16>;
    using output = deepdive::beat<ap_uint<8>, 1>;
    static constexpr int pixels = 1;
    static constexpr int groups = 2;
    static constexpr int least_groups = 2;
    static constexpr int out_groups = 10;
    static constexpr int out_parallel = 1;
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

struct classifier_linear_words_spec {
    using weights = deepdive::beat<unsigned char, 16>;
    static constexpr int words = 20;
    static constexpr int passes = 1;
};

}  // namespace

void classifier_unit(
    hls::stream<classifier_input>& input,
    hls::stream<classifier_output>& output,
    const deepdive::memory_word* classifier_linear_weights,
    int frames) {
#pragma HLS interface axis port=input
#pragma HLS interface axis port=output
#pragma HLS interface m_axi port=classifier_linear_weights offset=slave bundle=classifier_linear_weights depth=20
#pragma HLS interface s_axilite port=classifier_linear_weights bundle=control
#pragma HLS interface s_axilite port=frames bundle=control
#pragma HLS interface s_axilite port=return bundle=control
#pragma HLS dataflow
#pragma HLS array_reshape variable=classifier_linear_scales dim=2 type=complete
#pragma HLS bind_storage variable=classifier_linear_scales type=rom_1p impl=lutram
    hls::stream<deepdive::beat<unsigned char, 16>, 32> classifier_linear_words("classifier_linear_words");

    deepdive::external_weights<classifier_linear_words_spec>(classifier_linear_weights, classifier_linear_words, frames);
    deepdive::dense<classifier_linear_spec>(input, output, classifier_linear_words, classifier_linear_scales, frames);
}
