// Compute unit body2 (body).
// Computes:
//   body2.expand
//   body2.depthwise
//   body2.project
#include "units/body2.h"

#include "deepdive/dense.h"
#include "deepdive/depthwise.h"
#include "deepdive/repack.h"
#include "deepdive/window.h"
#include "units/body2_rom.h"

namespace {

struct body2_pointwise_spec {
    using input = deepdive::beat<ap_uint<8>, 8>;
    using output = deepdive::beat<ap_uint<8>, 2>;
    static constexpr int pixels = 64;
    static constexpr int groups = 1;
    static constexpr int least_groups = 1;
    static constexpr int out_groups = 16;
    static constexpr int out_parallel = 2;
    static constexpr int weight_bits = 8;
    static constexpr int pair_field = 18;
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

struct body2_window_spec {
    using input = deepdive::beat<ap_uint<8>, 2>;
    using output = deepdive::beat<ap_uint<8>, 50>;
    static constexpr int height = 8;
    static constexpr int width = 8;
    static constexpr int groups = 16;
    static constexpr int least_groups = 16;
    static constexpr int row_beats = 128;
    static constexpr int least_row_beats = 128;
    static constexpr int kernel_height = 5;
    static constexpr int kernel_width = 5;
    static constexpr int filter_width = 5;
    static constexpr int columns = 1;
    static constexpr int offset = 0;
    static constexpr int stride_y = 2;
    static constexpr int stride_x = 2;
    static constexpr int pad_top = 2;
    static constexpr int pad_left = 2;
    static constexpr int pad_bottom = 2;
    static constexpr int pad_right = 2;
    static constexpr short zero_points[1] = {0};
};

struct body2_depthwise_spec {
    using input = deepdive::beat<ap_uint<8>, 50>;
    using output = deepdive::beat<ap_uint<8>, 2>;
    static constexpr int pixels = 16;
    static constexpr int groups = 16;
    static constexpr int turns = 1;
    static constexpr int weight_bits = 8;
    static constexpr int weights_at = 0;
    static constexpr int scales_at = 0;
    static constexpr bool fabric = true;
    static constexpr int parallel = 25;
    static constexpr int order[25] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24};
    static constexpr int acc_bits = 20;
    static constexpr int zero_point = 0;
    static constexpr int q_min = 0;
    static constexpr int q_max = 255;
    static constexpr bool half_up = true;
};

struct body2_pointwise2_repack0_spec {
    using input = deepdive::beat<ap_uint<8>, 2>;
    using output = deepdive::beat<ap_uint<8>, 4>;
    static constexpr int pixels = 16;
    static constexpr int reads = 16;
    static constexpr int writes = 16;
};

struct body2_pointwise2_spec {
    using input = deepdive::beat<ap_uint<8>, 4>;
    using output = deepdive::beat<ap_uint<8>, 4>;
    static constexpr int pixels = 16;
    static constexpr int groups = 8;
    static constexpr int least_groups = 8;
    static constexpr int out_groups = 2;
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

}  // namespace

void body2_unit(
    hls::stream<body2_input>& input,
    hls::stream<body2_output>& output,
    int frames) {
#pragma HLS interface axis port=input
#pragma HLS interface axis port=output
#pragma HLS interface s_axilite port=frames bundle=control
#pragma HLS interface s_axilite port=return bundle=control
#pragma HLS dataflow
#pragma HLS array_reshape variable=body2_pointwise_weights dim=2 type=complete
#pragma HLS bind_storage variable=body2_pointwise_weights type=rom_1p impl=lutram
#pragma HLS array_reshape variable=body2_pointwise_scales dim=2 type=complete
#pragma HLS bind_storage variable=body2_pointwise_scales type=rom_1p impl=lutram
#pragma HLS array_reshape variable=body2_depthwise_weights dim=2 type=complete
#pragma HLS bind_storage variable=body2_depthwise_weights type=rom_1p impl=lutram
#pragma HLS array_reshape variable=body2_depthwise_scales dim=2 type=complete
#pragma HLS bind_storage variable=body2_depthwise_scales type=rom_1p impl=lutram
#pragma HLS array_reshape variable=body2_pointwise2_weights dim=2 type=complete
#pragma HLS bind_storage variable=body2_pointwise2_weights type=rom_1p impl=lutram
#pragma HLS array_reshape variable=body2_pointwise2_scales dim=2 type=complete
#pragma HLS bind_storage variable=body2_pointwise2_scales type=rom_1p impl=lutram
    hls::stream<deepdive::beat<ap_uint<8>, 2>, 30> body2_pointwise_out_stream("body2_pointwise_out_stream");
    hls::stream<deepdive::beat<ap_uint<8>, 50>, 28> body2_window_out_stream("body2_window_out_stream");
    hls::stream<deepdive::beat<ap_uint<8>, 2>, 35> body2_depthwise_out_stream("body2_depthwise_out_stream");
    hls::stream<deepdive::beat<ap_uint<8>, 4>, 35> body2_depthwise_out_packed_stream("body2_depthwise_out_packed_stream");

    deepdive::dense<body2_pointwise_spec>(input, body2_pointwise_out_stream, body2_pointwise_weights, body2_pointwise_scales, frames);
    deepdive::window<body2_window_spec>(body2_pointwise_out_stream, body2_window_out_stream, frames);
    deepdive::depthwise<body2_depthwise_spec>(body2_window_out_stream, body2_depthwise_out_stream, body2_depthwise_weights, body2_depthwise_scales, frames);
    deepdive::repack<body2_pointwise2_repack0_spec>(body2_depthwise_out_stream, body2_depthwise_out_packed_stream, frames);
    deepdive::dense<body2_pointwise2_spec>(body2_depthwise_out_packed_stream, output, body2_pointwise2_weights, body2_pointwise2_scales, frames);
}
