// Compute unit body2 (body).
#ifndef DEEPDIVE_UNITS_BODY2_H
#define DEEPDIVE_UNITS_BODY2_H

#include "deepdive/beat.h"
#include "deepdive/external_weights.h"

using body2_input = deepdive::beat<ap_uint<8>, 4>;
using body2_output = deepdive::beat<ap_uint<8>, 16>;

// Reads and writes `frames` feature maps, row by row, pixel by pixel, channels innermost.
void body2_unit(
    hls::stream<body2_input>& input,
    hls::stream<body2_output>& output,
    const deepdive::memory_word* body2_pointwise_weights,
    int frames);

#endif
