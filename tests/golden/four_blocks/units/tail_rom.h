// Constants of the unit tail: a row is what one step reads.
#ifndef DEEPDIVE_UNITS_TAIL_ROM_H
#define DEEPDIVE_UNITS_TAIL_ROM_H

#include "deepdive/requantize.h"

const deepdive::scale_word tail_pointwise_scales[4][8] = {
    {0x00002755969fbc, 0x0000014517e600, 0x3fffec5cd6ac99, 0x3fffd59898eaf0, 0x3fffe6acd6c879, 0x3fffe9ca578660, 0x3fffd220169b01, 0x00002e1416af5e},
    {0x00000114569535, 0x00000d70979a6c, 0x00001e4e5685fa, 0x000023111688da, 0x0000206b58cc94, 0x0000496b578436, 0x3fffe9bad79ca5, 0x000004a016a700},
    {0x3fffe233d7e90e, 0x0000019457ad09, 0x00004b05d7f6e1, 0x00002da7d7ae0e, 0x0000118f97db31, 0x0000366f17a391, 0x0000242317b211, 0x3ffff4c4178adb},
    {0x00000cded7ea39, 0x3fffdf2b97b955, 0x0000084418f5eb, 0x000029ae17a430, 0x00002349168ade, 0x00001a43d79e16, 0x00000e8796a184, 0x0000235758f319},
};

#endif
