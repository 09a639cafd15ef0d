// Constants of the unit classifier: a row is what one step reads.
#ifndef DEEPDIVE_UNITS_CLASSIFIER_ROM_H
#define DEEPDIVE_UNITS_CLASSIFIER_ROM_H

#include "deepdive/requantize.h"

const deepdive::scale_word classifier_linear_scales[10][1] = {
    {0x3fffdde4d78da7},
    {0x3fffe42ad8debb},
    {0x00001afa98c755},
    {0x3fffe3aa19f6b9},
    {0x3fffedf659deb3},
    {0x3fffdc9819a347},
    {0x3fffdb9d18bcb0},
    {0x0000382799c3b2},
    {0x3ffffb69188db4},
    {0x3ffff717d8f1c3},
};

#endif
