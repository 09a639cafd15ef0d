// Compute unit tail (tail).
#ifndef DEEPDIVE_UNITS_TAIL_H
#define DEEPDIVE_UNITS_TAIL_H

#include "deepdive/beat.h"

using tail_input = deepdive::beat<ap_uint<8>, 4>;
using tail_output = deepdive::beat<ap_uint<8>, 8>;

// Reads and writes `frames` feature maps, row by row, pixel by pixel, channels innermost.
void tail_unit(
    hls::stream<tail_input>& input,
    hls::stream<tail_output>& output,
    int frames);

#endif
