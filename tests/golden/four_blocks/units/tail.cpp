// Compute unit tail (tail).
// Computes:
//   tail.conv
//   tail.pool
#include "units/tail.h"

#include "deepdive/dense.h"
#include "deepdive/global_avg_pool.h"
#include "deepdive/repack.h"
#include "units/tail_rom.h"

namespace {

struct tail_pointwise_spec {
    using input = deepdive::beat<ap_uint<8>, 4>;
    using output = deepdive::beat<ap_uint<8>, 2>;
    static constexpr int pixels = 16;
    static constexpr int groups = 4;
    static constexpr int least_groups = 4;
    static constexpr int out_groups = 8;
    static constexpr int out_parallel = 4;
    static constexpr int weight_bits = 8;
    static constexpr int pair_field = 0;
    static constexpr int weights_at = 0;
    static constexpr int scales_at = 0;
    static constexpr bool drains = false;
    static constexpr bool fabric = false;
    static constexpr int acc_bits = 19;
    static constexpr int zero_point = 0;
    static constexpr int q_min = 0;
    static constexpr int q_max = 255;
    static constexpr bool half_up = true;
};

struct tail_pool_repack0_spec {
    using input = deepdive::beat<ap_uint<8>, 2>;
    using output = deepdive::beat<ap_uint<8>, 8>;
    static constexpr int pixels = 16;
    static constexpr int reads = 16;
    static constexpr int writes = 16;
};

struct tail_pool_spec {
    using input = deepdive::beat<ap_uint<8>, 8>;
    using output = deepdive::beat<ap_uint<8>, 8>;
    static constexpr int pixels = 16;
    static constexpr int groups = 4;
    static constexpr int least_groups = 4;
    static constexpr int mult = 50789;
    static constexpr int drop = 19;
    static constexpr int acc_bits = 13;
    static constexpr int zero_point = 0;
    static constexpr int q_min = 0;
    static constexpr int q_max = 255;
    static constexpr bool half_up = true;
    static constexpr int biases[1] = {0};
};

}  // namespace

void tail_unit(
    hls::stream<tail_input>& input,
    hls::stream<tail_output>& output,
    int frames) {
#pragma HLS interface axis port=input
#pragma HLS interface axis port=output
#pragma HLS interface s_axilite port=frames bundle=control
#pragma HLS interface s_axilite port=return bundle=control
#pragma HLS dataflow
#pragma HLS array_reshape variable=tail_pointwise_weights dim=2 type=complete
#pragma HLS bind_storage variable=tail_pointwise_weights type=rom_1p impl=lutram
#pragma HLS array_reshape variable=tail_pointwise_scales dim=2 type=complete
#pragma HLS bind_storage variable=tail_pointwise_scales type=rom_1p impl=lutram
    hls::stream<deepdive::beat<ap_uint<8>, 2>, 63> tail_pointwise_out_stream("tail_pointwise_out_stream");
    hls::stream<deepdive::beat<ap_uint<8>, 8>, 63> tail_pointwise_out_packed_stream("tail_pointwise_out_packed_stream");

    deepdive::dense<tail_pointwise_spec>(input, tail_pointwise_out_stream, tail_pointwise_weights, tail_pointwise_scales, frames);
    deepdive::repack<tail_pool_repack0_spec>(tail_pointwise_out_stream, tail_pointwise_out_packed_stream, frames);
    deepdive::global_avg_pool<tail_pool_spec>(tail_pointwise_out_packed_stream, output, frames);
}
