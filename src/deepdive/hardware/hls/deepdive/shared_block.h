// What a shared unit is told of one block: sizes, offsets and flags of all its parts; those that it lacks are all zero.
#ifndef DEEPDIVE_SHARED_BLOCK_H
#define DEEPDIVE_SHARED_BLOCK_H

namespace deepdive {

// How many frames a batch has, of `size` at most; none before the first one and after the last.
inline int frames_of(int batch, int size, int frames) {
#pragma HLS inline
    const int left = frames - batch * size;
    return batch < 0 || left < 0 ? 0 : left < size ? left : size;
}

// A map in memory: where the first frame lies, how much further in every second batch, words of a frame.
struct map_place {
    int at;
    int step;
    int words;

    int begin(int odd) const { return odd != 0 ? at + step : at; }
};

struct route_layer {
    int beats;
    bool to_a;
    bool to_b;
};

struct select_layer {
    int beats;
    bool from_a;
};

struct lead_layer {
    int ahead;
    int beats;
};

struct repack_layer {
    int pixels;
    int reads;
    int writes;
};

struct dense_layer {
    static constexpr bool drains = false;

    int pixels;
    int groups;
    int out_groups;
    int weights_at;
    int scales_at;
    int zero_point;
    int q_min;
    int q_max;
    bool half_up;
};

struct window_layer {
    int height;
    int width;
    int groups;
    int stride_y;
    int stride_x;
    int pad_top;
    int pad_left;
    int pad_bottom;
    int pad_right;
    short zero_points[1];
};

struct depthwise_layer {
    int pixels;
    int groups;
    int turns;
    int weights_at;
    int scales_at;
    int zero_point;
    int q_min;
    int q_max;
    bool half_up;
};

struct pool_layer {
    int pixels;
    int groups;
    int biases[1];
    int mult;
    int drop;
    int zero_point;
    int q_min;
    int q_max;
    bool half_up;
};

struct scale_layer {
    int pixels;
    int groups;
    short zeros_input[1];
    short zeros_factors[1];
    int mult;
    int drop;
    int zero_point;
    int q_min;
    int q_max;
    bool half_up;
};

struct add_layer {
    int pixels;
    int groups;
    int mult_a;
    int mult_b;
    int biases[1];
    int drop;
    int zero_point;
    int q_min;
    int q_max;
    bool half_up;
};

// Behind a part.
struct table_layer {
    int beats;
    int first;
};

struct shared_block {
    map_place source;
    map_place factors;  // read in front of it
    map_place target;
    int weights_at;  // in external memory
    lead_layer factors_route;
    route_layer fork;
    route_layer expand_route;
    repack_layer feed;
    dense_layer expand;
    repack_layer align;
    repack_layer align_past;
    select_layer expand_select;
    route_layer depthwise_route;
    window_layer window;
    depthwise_layer depthwise;
    select_layer depthwise_select;
    route_layer pool_route;
    pool_layer pool;
    select_layer pool_select;
    repack_layer factors_align;
    route_layer scale_route;
    scale_layer scale;
    select_layer scale_select;
    route_layer project_route;
    repack_layer gather;
    dense_layer project;
    repack_layer pack;
    repack_layer pack_past;
    select_layer project_select;
    route_layer add_route;
    add_layer add;
    select_layer add_select;
    table_layer expand_table;
    table_layer depthwise_table;
    table_layer project_table;
};

}  // namespace deepdive

#endif
