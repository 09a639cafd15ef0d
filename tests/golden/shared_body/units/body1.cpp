// Compute unit body1 (body).
// Computes:
//   body1.expand
//   body1.depthwise
//   body1.project
//   body1.add
//   body2.expand
//   body2.depthwise
//   body2.project
#include "units/body1.h"

#include "units/body1_shared.h"

namespace {

}  // namespace

void body1_unit(
    hls::stream<body1_input>& input,
    hls::stream<body1_output>& output,
    const deepdive::beat<ap_uint<8>, 4>* body1_shared_maps_read,
    deepdive::beat<ap_uint<8>, 4>* body1_shared_maps_write,
    deepdive::beat<ap_uint<8>, 4>* body1_shared_ends_write,
    const deepdive::beat<ap_uint<8>, 4>* body1_shared_ends_read,
    const deepdive::memory_word* body1_shared_weights,
    int frames) {
#pragma HLS interface axis port=input
#pragma HLS interface axis port=output
#pragma HLS interface m_axi port=body1_shared_maps_read offset=slave bundle=body1_shared_maps depth=1024
#pragma HLS interface s_axilite port=body1_shared_maps_read bundle=control
#pragma HLS interface m_axi port=body1_shared_maps_write offset=slave bundle=body1_shared_maps depth=1024
#pragma HLS interface s_axilite port=body1_shared_maps_write bundle=control
#pragma HLS interface m_axi port=body1_shared_ends_write offset=slave bundle=body1_shared_ends depth=1024
#pragma HLS interface s_axilite port=body1_shared_ends_write bundle=control
#pragma HLS interface m_axi port=body1_shared_ends_read offset=slave bundle=body1_shared_ends depth=1024
#pragma HLS interface s_axilite port=body1_shared_ends_read bundle=control
#pragma HLS interface m_axi port=body1_shared_weights offset=slave bundle=body1_shared_weights depth=204
#pragma HLS interface s_axilite port=body1_shared_weights bundle=control
#pragma HLS interface s_axilite port=frames bundle=control
#pragma HLS interface s_axilite port=return bundle=control
#pragma HLS dataflow

    body1_shared(input, output, body1_shared_maps_read, body1_shared_maps_write, body1_shared_ends_write, body1_shared_ends_read, body1_shared_weights, frames);
}
