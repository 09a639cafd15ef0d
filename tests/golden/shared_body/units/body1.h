// Compute unit body1 (body).
#ifndef DEEPDIVE_UNITS_BODY1_H
#define DEEPDIVE_UNITS_BODY1_H

#include "deepdive/beat.h"
#include "deepdive/external_weights.h"

using body1_input = deepdive::beat<ap_uint<8>, 8>;
using body1_output = deepdive::beat<ap_uint<8>, 4>;

// Reads and writes `frames` feature maps, row by row, pixel by pixel, channels innermost.
void body1_unit(
    hls::stream<body1_input>& input,
    hls::stream<body1_output>& output,
    const deepdive::beat<ap_uint<8>, 4>* body1_shared_maps_read,
    deepdive::beat<ap_uint<8>, 4>* body1_shared_maps_write,
    deepdive::beat<ap_uint<8>, 4>* body1_shared_ends_write,
    const deepdive::beat<ap_uint<8>, 4>* body1_shared_ends_read,
    const deepdive::memory_word* body1_shared_weights,
    int frames);

#endif
