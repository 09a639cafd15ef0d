// Compute unit body1 (body).
// Computes:
//   body1.expand
//   body1.depthwise
//   body1.project
//   body1.add
#include "units/body1.h"

#include "deepdive/add.h"
#include "deepdive/dense.h"
#include "deepdive/depthwise_pairs.h"
#include "deepdive/fork.h"
#include "deepdive/repack.h"
#include "deepdive/window.h"
#include "units/body1_rom.h"

namespace {

struct body1_fork_spec {
    using input = deepdive::beat<ap_uint<8>, 8>;
    using output_a = deepdive::beat<ap_uint<8>, 8>;
    using output_b = deepdive::beat<ap_uint<8>, 8>;
    static constexpr int beats = 64;
};

struct body1_pointwise_spec {
    using input = deepdive::beat<ap_uint<8>, 8>;
    using output = deepdive::beat<ap_uint<8>, 32>;
    static constexpr int pixels = 64;
    static constexpr int groups = 1;
    static constexpr int least_groups = 1;
    static constexpr int out_groups = 1;
    static constexpr int out_parallel = 32;
    static constexpr int weight_bits = 8;
    static constexpr int pair_field = 0;
    static constexpr int weights_at = 0;
    static constexpr int scales_at = 0;
    static constexpr bool drains = false;
    static constexpr bool fabric = false;
    static constexpr int acc_bits = 18;
    static constexpr int zero_point = 0;
    static constexpr int q_min = 0;
    static constexpr int q_max = 255;
    static constexpr bool half_up = true;
};

struct body1_window_repack0_spec {
    using input = deepdive::beat<ap_uint<8>, 32>;
    using output = deepdive::beat<ap_uint<8>, 8>;
    static constexpr int pixels = 64;
    static constexpr int reads = 4;
    static constexpr int writes = 4;
};

struct body1_window_spec {
    using input = deepdive::beat<ap_uint<8>, 8>;
    using output = deepdive::beat<ap_uint<8>, 96>;
    static constexpr int height = 8;
    static constexpr int width = 8;
    static constexpr int groups = 4;
    static constexpr int least_groups = 4;
    static constexpr int row_beats = 32;
    static constexpr int least_row_beats = 32;
    static constexpr int kernel_height = 3;
    static constexpr int kernel_width = 4;
    static constexpr int filter_width = 4;
    static constexpr int columns = 1;
    static constexpr int offset = 0;
    static constexpr int stride_y = 1;
    static constexpr int stride_x = 2;
    static constexpr int pad_top = 1;
    static constexpr int pad_left = 1;
    static constexpr int pad_bottom = 1;
    static constexpr int pad_right = 1;
    static constexpr short zero_points[1] = {0};
};

struct body1_depthwise_spec {
    using input = deepdive::beat<ap_uint<8>, 96>;
    using output = deepdive::beat<ap_uint<8>, 8>;
    static constexpr int pairs = 32;
    static constexpr int groups = 4;
    static constexpr int weight_bits = 8;
    static constexpr int kernel_height = 3;
    static constexpr int kernel_width = 3;
    static constexpr int step = 1;
    static constexpr int pair_field = 18;
    static constexpr int first_depth = 4;
    static constexpr int second_depth = 6;
    static constexpr int acc_bits = 19;
    static constexpr int zero_point = 0;
    static constexpr int q_min = 0;
    static constexpr int q_max = 255;
    static constexpr bool half_up = true;
};

struct body1_pointwise2_spec {
    using input = deepdive::beat<ap_uint<8>, 8>;
    using output = deepdive::beat<ap_uint<8>, 8>;
    static constexpr int pixels = 64;
    static constexpr int groups = 4;
    static constexpr int least_groups = 4;
    static constexpr int out_groups = 1;
    static constexpr int out_parallel = 8;
    static constexpr int weight_bits = 8;
    static constexpr int pair_field = 0;
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

struct body1_pointwise2_words_spec {
    using weights = deepdive::beat<unsigned char, 64>;
    static constexpr int words = 4;
    static constexpr int passes = 64;
};

struct body1_add_spec {
    using input_a = deepdive::beat<ap_uint<8>, 8>;
    using input_b = deepdive::beat<ap_uint<8>, 8>;
    using output = deepdive::beat<ap_uint<8>, 8>;
    static constexpr int pixels = 64;
    static constexpr int groups = 1;
    static constexpr int mult_a = 58918;
    static constexpr int mult_b = 7425;
    static constexpr int drop = 16;
    static constexpr int zero_point = 128;
    static constexpr int q_min = 0;
    static constexpr int q_max = 255;
    static constexpr bool half_up = true;
    static constexpr int biases[1] = {-8491904};
};

}  // namespace

void body1_unit(
    hls::stream<body1_input>& input,
    hls::stream<body1_output>& output,
    const deepdive::memory_word* body1_pointwise2_weights,
    int frames) {
#pragma HLS interface axis port=input
#pragma HLS interface axis port=output
#pragma HLS interface m_axi port=body1_pointwise2_weights offset=slave bundle=body1_pointwise2_weights depth=16
#pragma HLS interface s_axilite port=body1_pointwise2_weights bundle=control
#pragma HLS interface s_axilite port=frames bundle=control
#pragma HLS interface s_axilite port=return bundle=control
#pragma HLS dataflow
#pragma HLS array_reshape variable=body1_pointwise_weights dim=2 type=complete
#pragma HLS bind_storage variable=body1_pointwise_weights type=rom_1p impl=lutram
#pragma HLS array_reshape variable=body1_pointwise_scales dim=2 type=complete
#pragma HLS bind_storage variable=body1_pointwise_scales type=rom_1p impl=lutram
#pragma HLS array_reshape variable=body1_depthwise_weights dim=2 type=complete
#pragma HLS bind_storage variable=body1_depthwise_weights type=rom_1p impl=lutram
#pragma HLS array_reshape variable=body1_depthwise_scales dim=2 type=complete
#pragma HLS bind_storage variable=body1_depthwise_scales type=rom_1p impl=lutram
#pragma HLS array_reshape variable=body1_pointwise2_scales dim=2 type=complete
#pragma HLS bind_storage variable=body1_pointwise2_scales type=rom_1p impl=lutram
    hls::stream<deepdive::beat<ap_uint<8>, 8>, 21> body1_fork_main_stream("body1_fork_main_stream");
    hls::stream<deepdive::beat<ap_uint<8>, 8>, 63> body1_fork_skip_stream("body1_fork_skip_stream");
    hls::stream<deepdive::beat<ap_uint<8>, 32>, 3> body1_pointwise_out_stream("body1_pointwise_out_stream");
    hls::stream<deepdive::beat<ap_uint<8>, 8>, 3> body1_pointwise_out_packed_stream("body1_pointwise_out_packed_stream");
    hls::stream<deepdive::beat<ap_uint<8>, 96>, 32> body1_window_out_stream("body1_window_out_stream");
    hls::stream<deepdive::beat<ap_uint<8>, 8>, 63> body1_depthwise_out_stream("body1_depthwise_out_stream");
    hls::stream<deepdive::beat<ap_uint<8>, 8>, 19> body1_pointwise2_out_stream("body1_pointwise2_out_stream");
    hls::stream<deepdive::beat<unsigned char, 64>, 32> body1_pointwise2_words("body1_pointwise2_words");

    deepdive::fork<body1_fork_spec>(input, body1_fork_main_stream, body1_fork_skip_stream, frames);
    deepdive::dense<body1_pointwise_spec>(body1_fork_main_stream, body1_pointwise_out_stream, body1_pointwise_weights, body1_pointwise_scales, frames);
    deepdive::repack<body1_window_repack0_spec>(body1_pointwise_out_stream, body1_pointwise_out_packed_stream, frames);
    deepdive::window<body1_window_spec>(body1_pointwise_out_packed_stream, body1_window_out_stream, frames);
    deepdive::depthwise_pairs<body1_depthwise_spec>(body1_window_out_stream, body1_depthwise_out_stream, body1_depthwise_weights, body1_depthwise_scales, frames);
    deepdive::external_weights<body1_pointwise2_words_spec>(body1_pointwise2_weights, body1_pointwise2_words, frames);
    deepdive::dense<body1_pointwise2_spec>(body1_depthwise_out_stream, body1_pointwise2_out_stream, body1_pointwise2_words, body1_pointwise2_scales, frames);
    deepdive::add<body1_add_spec>(body1_fork_skip_stream, body1_pointwise2_out_stream, output, frames);
}
