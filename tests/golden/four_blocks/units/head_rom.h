// Constants of the unit head: a row is what one step reads.
#ifndef DEEPDIVE_UNITS_HEAD_ROM_H
#define DEEPDIVE_UNITS_HEAD_ROM_H

#include "deepdive/requantize.h"

const deepdive::scale_word head_conv_scales[1][8] = {
    {0x3ffff05ad8aa66, 0x0000220397ea73, 0x3fffae7ed8bae5, 0x000018fd179e42, 0x3fffca6e17a0a7, 0x3fffd9075685e0, 0x3fffe98d57ac43, 0x3fffcc0cd8f10d},
};

const unsigned char head_depthwise_weights[1][72] = {
    {197,201,244,117,113, 82,156,113,189, 77,201, 35,165, 74,148, 73,181, 22,243,222, 81,234,194,160, 99, 91,233,149,232, 92, 39,137,183, 13,253, 13,138, 84,  6, 93,185, 67, 81,187,104,157,198,232,160, 79, 83, 24,112,130,115,143,159,143, 32,134,139,154, 51,250, 71, 15, 53, 89, 23,221, 34,225},
};

const deepdive::scale_word head_depthwise_scales[1][8] = {
    {0x3fffd6a4d8f07d, 0x00000788168a73, 0x3ffffce297bdd0, 0x3ffff6fd18b9c0, 0x3ffffb3417b6cb, 0x0000217497be59, 0x3fffff3857c38a, 0x0000019557d85a},
};

const unsigned char head_pointwise_weights[1][64] = {
    { 16, 16, 46, 62,  6, 61,220, 98,108,164,229,177,123,122, 44,118,118,154,100, 72,137,  7, 20,150, 63, 43,105,  6, 18, 23,177,146, 32,140, 19, 64,242,119, 40,  0, 92, 54, 15,  5,129,209, 19,255,127, 82, 53,206, 11, 76,107, 14,191,170, 20,150, 69,176, 26, 62},
};

const deepdive::scale_word head_pointwise_scales[1][8] = {
    {0x000002df17bf64, 0x3fffeae617ea10, 0x3ffffa5a98eb98, 0x0000120e98be0a, 0x00000233d8983c, 0x0000245217ea02, 0x3ffff73b9684e4, 0x0000096bd79c6c},
};

#endif
