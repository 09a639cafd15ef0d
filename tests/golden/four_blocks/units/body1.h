// Compute unit body1 (body).
#ifndef DEEPDIVE_UNITS_BODY1_H
#define DEEPDIVE_UNITS_BODY1_H

#include "deepdive/beat.h"
#include "deepdive/external_weights.h"

using body1_input = deepdive::beat<ap_uint<8>, 8>;
using body1_output = deepdive::beat<ap_uint<8>, 8>;

// Reads and writes `frames` feature maps, row by row, pixel by pixel, channels innermost.
void body1_unit(
    hls::stream<body1_input>& input,
    hls::stream<body1_output>& output,
    const deepdive::memory_word* body1_pointwise2_weights,
    int frames);

#endif
