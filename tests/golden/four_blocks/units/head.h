// Compute unit head (head).
#ifndef DEEPDIVE_UNITS_HEAD_H
#define DEEPDIVE_UNITS_HEAD_H

#include "deepdive/beat.h"
#include "deepdive/external_weights.h"

using head_input = deepdive::beat<ap_uint<8>, 3>;
using head_output = deepdive::beat<ap_uint<8>, 8>;

// Reads and writes `frames` feature maps, row by row, pixel by pixel, channels innermost.
void head_unit(
    hls::stream<head_input>& input,
    hls::stream<head_output>& output,
    const deepdive::memory_word* head_conv_weights,
    int frames);

#endif
