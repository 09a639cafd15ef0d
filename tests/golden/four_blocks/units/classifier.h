// Compute unit classifier (classifier).
#ifndef DEEPDIVE_UNITS_CLASSIFIER_H
#define DEEPDIVE_UNITS_CLASSIFIER_H

#include "deepdive/beat.h"
#include "deepdive/external_weights.h"

using classifier_input = deepdive::beat<ap_uint<8>, 16>;
using classifier_output = deepdive::beat<ap_uint<8>, 1>;

// Reads and writes `frames` feature maps, row by row, pixel by pixel, channels innermost.
void classifier_unit(
    hls::stream<classifier_input>& input,
    hls::stream<classifier_output>& output,
    const deepdive::memory_word* classifier_linear_weights,
    int frames);

#endif
