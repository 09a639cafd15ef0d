// What a stream carries in one clock cycle.
#ifndef DEEPDIVE_BEAT_H
#define DEEPDIVE_BEAT_H

#include <ap_int.h>
#include <hls_stream.h>

namespace deepdive {

// `lanes` neighbouring channels of one pixel; on the way from a window, those of every tap (taps outermost).
template <class T, int N>
struct beat {
    using element = T;
    static constexpr int size = N;
    T lane[N];
};

}  // namespace deepdive

#endif
