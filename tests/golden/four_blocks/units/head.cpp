// Compute unit head (head).
// Computes:
//   stem
//   head.depthwise
//   head.project
#include "units/head.h"

#include "deepdive/dense.h"
#include "deepdive/depthwise.h"
#include "deepdive/window.h"
#include "units/head_rom.h"

namespace {

struct head_window_spec {
    using input = deepdive::beat<ap_uint<8>, 3>;
    using output = deepdive::beat<ap_uint<8>, 27>;
    static constexpr int height = 16;
    static constexpr int width = 16;
    static constexpr int groups = 1;
    static constexpr int least_groups = 1;
    static constexpr int row_beats = 16;
    static constexpr int least_row_beats = 16;
    static constexpr int kernel_height = 3;
    static constexpr int kernel_width = 3;
    static constexpr int filter_width = 3;
    static constexpr int columns = 1;
    static constexpr int offset = 0;
    static constexpr int stride_y = 2;
    static constexpr int stride_x = 2;
    static constexpr int pad_top = 1;
    static constexpr int pad_left = 1;
    static constexpr int pad_bottom = 1;
    static constexpr int pad_right = 1;
    static constexpr short zero_points[3] = {124, 116, 104};
};

struct head_conv_spec {
    using input = deepdive::beat<ap_uint<8>, 27>;
    using output = deepdive::beat<ap_uint<8>, 8>;
    static constexpr int pixels = 64;
    static constexpr int groups = 1;
    static constexpr int least_groups = 1;
    static constexpr int out_groups = 1;
    static constexpr int out_parallel = 8;
    static constexpr int weight_bits = 8;
    static constexpr int pair_field = 0;
    static constexpr int weights_at = 0;
    static constexpr int scales_at = 0;
    static constexpr bool drains = false;
    static constexpr bool fabric = false;
    static constexpr int acc_bits = 20;
    static constexpr int zero_point = 0;
    static constexpr int q_min = 0;
    static constexpr int q_max = 255;
    static constexpr bool half_up = true;
};

struct head_conv_words_spec {
    using weights = deepdive::beat<unsigned char, 216>;
    static constexpr int words = 1;
    static constexpr int passes = 64;
};

struct head_window2_spec {
    using input = deepdive::beat<ap_uint<8>, 8>;
    using output = deepdive::beat<ap_uint<8>, 72>;
    static constexpr int height = 8;
    static constexpr int width = 8;
    static constexpr int groups = 1;
    static constexpr int least_groups = 1;
    static constexpr int row_beats = 8;
    static constexpr int least_row_beats = 8;
    static constexpr int kernel_height = 3;
    static constexpr int kernel_width = 3;
    static constexpr int filter_width = 3;
    static constexpr int columns = 1;
    static constexpr int offset = 0;
    static constexpr int stride_y = 1;
    static constexpr int stride_x = 1;
    static constexpr int pad_top = 1;
    static constexpr int pad_left = 1;
    static constexpr int pad_bottom = 1;
    static constexpr int pad_right = 1;
    static constexpr short zero_points[1] = {0};
};

struct head_depthwise_spec {
    using input = deepdive::beat<ap_uint<8>, 72>;
    using output = deepdive::beat<ap_uint<8>, 8>;
    static constexpr int pixels = 64;
    static constexpr int groups = 1;
    static constexpr int turns = 1;
    static constexpr int weight_bits = 8;
    static constexpr int weights_at = 0;
    static constexpr int scales_at = 0;
    static constexpr bool fabric = false;
    static constexpr int parallel = 9;
    static constexpr int order[9] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    static constexpr int acc_bits = 19;
    static constexpr int zero_point = 0;
    static constexpr int q_min = 0;
    static constexpr int q_max = 255;
    static constexpr bool half_up = true;
};

struct head_pointwise_spec {
    using input = deepdive::beat<ap_uint<8>, 8>;
    using output = deepdive::beat<ap_uint<8>, 8>;
    static constexpr int pixels = 64;
    static constexpr int groups = 1;
    static constexpr int least_groups = 1;
    static constexpr int out_groups = 1;
    static constexpr int out_parallel = 8;
    static constexpr int weight_bits = 8;
    static constexpr int pair_field = 0;
    static constexpr int weights_at = 0;
    static constexpr int scales_at = 0;
    static constexpr bool drains = false;
    static constexpr bool fabric = false;
    static constexpr int acc_bits = 19;
    static constexpr int zero_point = 128;
    static constexpr int q_min = 0;
    static constexpr int q_max = 255;
    static constexpr bool half_up = true;
};

}  // namespace

void head_unit(
    hls::stream<head_input>& input,
    hls::stream<head_output>& output,
    const deepdive::memory_word* head_conv_weights,
    int frames) {
#pragma HLS interface axis port=input
#pragma HLS interface axis port=output
#pragma HLS interface m_axi port=head_conv_weights offset=slave bundle=head_conv_weights depth=14
#pragma HLS interface s_axilite port=head_conv_weights bundle=control
#pragma HLS interface s_axilite port=frames bundle=control
#pragma HLS interface s_axilite port=return bundle=control
#pragma HLS dataflow
#pragma HLS array_reshape variable=head_conv_scales dim=2 type=complete
#pragma HLS bind_storage variable=head_conv_scales type=rom_1p impl=lutram
#pragma HLS array_reshape variable=head_depthwise_weights dim=2 type=complete
#pragma HLS bind_storage variable=head_depthwise_weights type=rom_1p impl=lutram
#pragma HLS array_reshape variable=head_depthwise_scales dim=2 type=complete
#pragma HLS bind_storage variable=head_depthwise_scales type=rom_1p impl=lutram
#pragma HLS array_reshape variable=head_pointwise_weights dim=2 type=complete
#pragma HLS bind_storage variable=head_pointwise_weights type=rom_1p impl=lutram
#pragma HLS array_reshape variable=head_pointwise_scales dim=2 type=complete
#pragma HLS bind_storage variable=head_pointwise_scales type=rom_1p impl=lutram
    hls::stream<deepdive::beat<ap_uint<8>, 27>, 4> head_window_out_stream("head_window_out_stream");
    hls::stream<deepdive::beat<ap_uint<8>, 8>, 56> head_conv_out_stream("head_conv_out_stream");
    hls::stream<deepdive::beat<ap_uint<8>, 72>, 42> head_window2_out_stream("head_window2_out_stream");
    hls::stream<deepdive::beat<ap_uint<8>, 8>, 3> head_depthwise_out_stream("head_depthwise_out_stream");
    hls::stream<deepdive::beat<unsigned char, 216>, 32> head_conv_words("head_conv_words");

    deepdive::window<head_window_spec>(input, head_window_out_stream, frames);
    deepdive::external_weights<head_conv_words_spec>(head_conv_weights, head_conv_words, frames);
    deepdive::dense<head_conv_spec>(head_window_out_stream, head_conv_out_stream, head_conv_words, head_conv_scales, frames);
    deepdive::window<head_window2_spec>(head_conv_out_stream, head_window2_out_stream, frames);
    deepdive::depthwise<head_depthwise_spec>(head_window2_out_stream, head_depthwise_out_stream, head_depthwise_weights, head_depthwise_scales, frames);
    deepdive::dense<head_pointwise_spec>(head_depthwise_out_stream, output, head_pointwise_weights, head_pointwise_scales, frames);
}
