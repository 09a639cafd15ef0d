// Compute unit classifier (classifier).
#ifndef DEEPDIVE_UNITS_CLASSIFIER_H
#define DEEPDIVE_UNITS_CLASSIFIER_H

#include "deepdive/beat.h"

using classifier_input = deepdive::beat<ap_uint<8>, 8>;
using classifier_output = deepdive::beat<ap_uint<8>, 5>;

// Reads and writes `frames` feature maps, row by row, pixel by pixel, channels innermost.
void classifier_unit(
    hls::stream<classifier_input>& input,
    hls::stream<classifier_output>& output,
    int frames);

#endif
