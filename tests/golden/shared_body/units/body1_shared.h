// The shared body body1_shared of the unit body1: 2 blocks, one after the other, on one set of parts.
#ifndef DEEPDIVE_UNITS_BODY1_SHARED_H
#define DEEPDIVE_UNITS_BODY1_SHARED_H

#include "deepdive/add.h"
#include "deepdive/dense.h"
#include "deepdive/depthwise.h"
#include "deepdive/load_words.h"
#include "deepdive/map_memory.h"
#include "deepdive/relabel.h"
#include "deepdive/repack.h"
#include "deepdive/route.h"
#include "deepdive/select.h"
#include "deepdive/shared_block.h"
#include "deepdive/window.h"

namespace {

using body1_shared_word = deepdive::beat<ap_uint<8>, 4>;

struct body1_shared_feed_spec {
    using input = deepdive::beat<ap_uint<8>, 4>;
    using output = deepdive::beat<ap_uint<8>, 4>;
};

struct body1_shared_expand_spec {
    using input = deepdive::beat<ap_uint<8>, 4>;
    using output = deepdive::beat<ap_uint<8>, 4>;
    static constexpr int out_parallel = 8;
    static constexpr int pair_field = 18;
    static constexpr int groups = 2;
    static constexpr int least_groups = 2;
    static constexpr int weight_bits = 4;
    static constexpr int acc_bits = 14;
};

struct body1_shared_align_spec {
    using input = deepdive::beat<ap_uint<8>, 4>;
    using output = deepdive::beat<ap_uint<8>, 4>;
};

struct body1_shared_window_spec {
    using input = deepdive::beat<ap_uint<8>, 4>;
    using output = deepdive::beat<ap_uint<8>, 100>;
    static constexpr int kernel_height = 5;
    static constexpr int kernel_width = 5;
    static constexpr int groups = 8;
    static constexpr int least_groups = 8;
    static constexpr int row_beats = 64;
    static constexpr int least_row_beats = 64;
};

struct body1_shared_depthwise_spec {
    using input = deepdive::beat<ap_uint<8>, 100>;
    using output = deepdive::beat<ap_uint<8>, 4>;
    static constexpr int weight_bits = 4;
    static constexpr int acc_bits = 16;
    static constexpr bool fabric = false;
    static constexpr int parallel = 25;
    static constexpr int order[25] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24};
};

struct body1_shared_gather_spec {
    using input = deepdive::beat<ap_uint<8>, 4>;
    using output = deepdive::beat<ap_uint<8>, 4>;
};

struct body1_shared_project_spec {
    using input = deepdive::beat<ap_uint<8>, 4>;
    using output = deepdive::beat<ap_uint<8>, 4>;
    static constexpr int out_parallel = 4;
    static constexpr int pair_field = 18;
    static constexpr int groups = 8;
    static constexpr int least_groups = 8;
    static constexpr int weight_bits = 4;
    static constexpr int acc_bits = 16;
};

struct body1_shared_pack_spec {
    using input = deepdive::beat<ap_uint<8>, 4>;
    using output = deepdive::beat<ap_uint<8>, 4>;
};

struct body1_shared_add_spec {
    using input_a = deepdive::beat<ap_uint<8>, 4>;
    using input_b = deepdive::beat<ap_uint<8>, 4>;
    using output = deepdive::beat<ap_uint<8>, 4>;
};

struct body1_shared_take_codes_spec {
    using input = deepdive::beat<ap_uint<8>, 8>;
    using output = deepdive::beat<ap_uint<8>, 8>;
    static constexpr int beats = 64;
    static constexpr int offset = 0;
};

struct body1_shared_take_words_spec {
    using input = deepdive::beat<ap_uint<8>, 8>;
    using output = deepdive::beat<ap_uint<8>, 4>;
    static constexpr int pixels = 64;
    static constexpr int reads = 2;
    static constexpr int writes = 2;
};

struct body1_shared_give_words_spec {
    using input = deepdive::beat<ap_uint<8>, 4>;
    using output = deepdive::beat<ap_uint<8>, 4>;
    static constexpr int pixels = 16;
    static constexpr int reads = 4;
    static constexpr int writes = 4;
};

struct body1_shared_give_codes_spec {
    using input = deepdive::beat<ap_uint<8>, 4>;
    using output = deepdive::beat<ap_uint<8>, 4>;
    static constexpr int beats = 64;
    static constexpr int offset = 0;
};

const deepdive::shared_block body1_shared_blocks[2] = {
    // body1.expand body1.depthwise body1.project body1.add
    {{0, 256, 128}, {}, {512, 0, 128}, 0, {}, {128, true, true}, {128, true, false}, {64, 2, 2}, {64, 2, 4, 0, 0, 0, 0, 255, true}, {64, 8, 8}, {}, {512, true}, {512, true, false}, {8, 8, 8, 1, 1, 2, 2, 2, 2, {0}}, {64, 8, 1, 0, 0, 0, 0, 255, true}, {512, true}, {512, false, true}, {}, {512, false}, {}, {512, false, true}, {}, {512, false}, {512, true, false}, {64, 8, 8}, {64, 8, 2, 0, 0, 128, 0, 255, true}, {64, 2, 2}, {}, {128, true}, {128, true, false}, {64, 2, 58918, 7425, {-8491904}, 16, 128, 0, 255, true}, {128, true}, {}, {}, {}},
    // body2.expand body2.depthwise body2.project
    {{512, 0, 128}, {}, {768, 128, 64}, 92, {}, {128, true, false}, {128, true, false}, {64, 2, 2}, {64, 2, 4, 0, 0, 0, 0, 255, true}, {64, 8, 8}, {}, {512, true}, {512, true, false}, {8, 8, 8, 2, 2, 2, 2, 2, 2, {0}}, {16, 8, 1, 0, 0, 0, 0, 255, true}, {128, true}, {128, false, true}, {}, {128, false}, {}, {128, false, true}, {}, {128, false}, {128, true, false}, {16, 8, 8}, {16, 8, 4, 0, 0, 128, 0, 255, true}, {16, 4, 4}, {}, {64, true}, {64, false, true}, {}, {64, false}, {}, {}, {}},
};

// Where maps come in and go out.
constexpr deepdive::map_place body1_shared_came = {0, 256, 128};
constexpr deepdive::map_place body1_shared_goes = {768, 128, 64};

// Weights and scales of one block.
struct body1_shared_bank {
    unsigned char expand_weights[8][16];
    deepdive::scale_word expand_scales[8][4];
    unsigned char depthwise_weights[8][50];
    deepdive::scale_word depthwise_scales[8][4];
    unsigned char project_weights[32][8];
    deepdive::scale_word project_scales[4][4];
};

void body1_shared_load(const deepdive::memory_word* weights, body1_shared_bank& bank,
    const deepdive::shared_block block) {
#pragma HLS inline off
    int at = block.weights_at;
    at = deepdive::load_words(weights, at, block.expand.out_groups * block.expand.groups, bank.expand_weights);
    at = deepdive::load_words(weights, at, block.expand.out_groups * 2, bank.expand_scales);
    at = deepdive::load_words(weights, at, block.depthwise.groups * block.depthwise.turns, bank.depthwise_weights);
    at = deepdive::load_words(weights, at, block.depthwise.groups, bank.depthwise_scales);
    at = deepdive::load_words(weights, at, block.project.out_groups * block.project.groups, bank.project_weights);
    at = deepdive::load_words(weights, at, block.project.out_groups * 1, bank.project_scales);
}

// One block, all frames of a batch, as one pipeline.
void body1_shared_run(const body1_shared_word* maps_read, body1_shared_word* maps_write, body1_shared_bank& bank,
    const deepdive::shared_block block, int frames, int odd) {
#pragma HLS inline off
#pragma HLS dataflow
    hls::stream<deepdive::beat<ap_uint<8>, 4>, 2> source("body1_shared_source");
    hls::stream<deepdive::beat<ap_uint<8>, 4>, 2> main("body1_shared_main");
    hls::stream<deepdive::beat<ap_uint<8>, 4>, 172> skip("body1_shared_skip");
    hls::stream<deepdive::beat<ap_uint<8>, 4>, 4> feed_out("body1_shared_feed_out");
    hls::stream<deepdive::beat<ap_uint<8>, 4>, 4> expand_out("body1_shared_expand_out");
    hls::stream<deepdive::beat<ap_uint<8>, 4>, 2> align_out("body1_shared_align_out");
    hls::stream<deepdive::beat<ap_uint<8>, 100>, 2> windows("body1_shared_windows");
    hls::stream<deepdive::beat<ap_uint<8>, 4>, 2> depthwise_out("body1_shared_depthwise_out");
    hls::stream<deepdive::beat<ap_uint<8>, 4>, 26> gather_out("body1_shared_gather_out");
    hls::stream<deepdive::beat<ap_uint<8>, 4>, 2> project_out("body1_shared_project_out");
    hls::stream<deepdive::beat<ap_uint<8>, 4>, 2> pack_out("body1_shared_pack_out");
    hls::stream<deepdive::beat<ap_uint<8>, 4>, 2> to_add("body1_shared_to_add");
    hls::stream<deepdive::beat<ap_uint<8>, 4>, 2> past_add("body1_shared_past_add");
    hls::stream<deepdive::beat<ap_uint<8>, 4>, 2> add_done("body1_shared_add_done");
    hls::stream<deepdive::beat<ap_uint<8>, 4>, 2> sum("body1_shared_sum");

    deepdive::read_map(maps_read, source, block.source.begin(odd), frames * block.source.words);
    deepdive::route(source, main, skip, frames, block.fork);
    deepdive::repack<body1_shared_feed_spec>(main, feed_out, frames, block.feed);
    deepdive::dense<body1_shared_expand_spec>(feed_out, expand_out, bank.expand_weights, bank.expand_scales, frames, block.expand);
    deepdive::repack<body1_shared_align_spec>(expand_out, align_out, frames, block.align);
    deepdive::window<body1_shared_window_spec>(align_out, windows, frames, block.window);
    deepdive::depthwise<body1_shared_depthwise_spec>(windows, depthwise_out, bank.depthwise_weights, bank.depthwise_scales, frames, block.depthwise);
    deepdive::repack<body1_shared_gather_spec>(depthwise_out, gather_out, frames, block.gather);
    deepdive::dense<body1_shared_project_spec>(gather_out, project_out, bank.project_weights, bank.project_scales, frames, block.project);
    deepdive::repack<body1_shared_pack_spec>(project_out, pack_out, frames, block.pack);
    deepdive::route(pack_out, to_add, past_add, frames, block.add_route);
    deepdive::add<body1_shared_add_spec>(skip, to_add, sum, frames, block.add);
    deepdive::select(sum, past_add, add_done, frames, block.add_select);
    deepdive::write_map(add_done, maps_write, block.target.begin(odd), frames * block.target.words);
}

// A block of the table; the weights of the next one come meanwhile: nothing that one call writes is used by the other.
void body1_shared_block(const body1_shared_word* maps_read, body1_shared_word* maps_write, const deepdive::memory_word* weights, body1_shared_bank& even, body1_shared_bank& odd_ones, int& swapped,
    int index, int frames, int odd) {
#pragma HLS inline off
    const deepdive::shared_block block = body1_shared_blocks[index];
    const deepdive::shared_block next = body1_shared_blocks[index == 1 ? 0 : index + 1];
    if (swapped != 0) {
        body1_shared_load(weights, even, next);
        body1_shared_run(maps_read, maps_write, odd_ones, block, frames, odd);
    } else {
        body1_shared_load(weights, odd_ones, next);
        body1_shared_run(maps_read, maps_write, even, block, frames, odd);
    }
    swapped = 1 - swapped;
}

// All blocks on a batch.
void body1_shared_pass(const body1_shared_word* maps_read, body1_shared_word* maps_write, const deepdive::memory_word* weights, body1_shared_bank& even, body1_shared_bank& odd_ones, int& swapped,
    int frames, int odd) {
#pragma HLS inline off
    const int blocks = frames == 0 ? 0 : 2;

each_block:
    for (int index = 0; index < blocks; ++index) {
        body1_shared_block(maps_read, maps_write, weights, even, odd_ones, swapped, index, frames, odd);
    }
}

// A batch from the unit's input to memory.
void body1_shared_take(hls::stream<body1_shared_take_codes_spec::input>& input, body1_shared_word* maps,
    int frames, int odd) {
#pragma HLS inline off
#pragma HLS dataflow
    hls::stream<body1_shared_take_codes_spec::output, 2> codes("body1_shared_take_codes");
    hls::stream<body1_shared_word, 2> words("body1_shared_take_words");

    deepdive::relabel<body1_shared_take_codes_spec>(input, codes, frames);
    deepdive::repack<body1_shared_take_words_spec>(codes, words, frames);
    deepdive::write_map(words, maps, body1_shared_came.begin(odd), frames * body1_shared_came.words);
}

// A batch from memory to the unit's output.
void body1_shared_give(const body1_shared_word* maps, hls::stream<body1_shared_give_codes_spec::output>& output,
    int frames, int odd) {
#pragma HLS inline off
#pragma HLS dataflow
    hls::stream<body1_shared_word, 2> words("body1_shared_give_words");
    hls::stream<body1_shared_give_codes_spec::input, 2> codes("body1_shared_give_codes");

    deepdive::read_map(maps, words, body1_shared_goes.begin(odd), frames * body1_shared_goes.words);
    deepdive::repack<body1_shared_give_words_spec>(words, codes, frames);
    deepdive::relabel<body1_shared_give_codes_spec>(codes, output, frames);
}

// The unit's stage: batch p comes in while all blocks run on batch p - 1 and batch p - 2 goes out.
void body1_shared(
    hls::stream<body1_shared_take_codes_spec::input>& input,
    hls::stream<body1_shared_give_codes_spec::output>& output,
    const body1_shared_word* maps_read,
    body1_shared_word* maps_write,
    body1_shared_word* ends_write,
    const body1_shared_word* ends_read,
    const deepdive::memory_word* weights,
    int frames) {
#pragma HLS inline off
    body1_shared_bank even;
#pragma HLS array_reshape variable=even.expand_weights dim=2 type=complete
#pragma HLS array_reshape variable=even.expand_scales dim=2 type=complete
#pragma HLS array_reshape variable=even.depthwise_weights dim=2 type=complete
#pragma HLS array_reshape variable=even.depthwise_scales dim=2 type=complete
#pragma HLS array_reshape variable=even.project_weights dim=2 type=complete
#pragma HLS array_reshape variable=even.project_scales dim=2 type=complete
    body1_shared_bank odd_ones;
#pragma HLS array_reshape variable=odd_ones.expand_weights dim=2 type=complete
#pragma HLS array_reshape variable=odd_ones.expand_scales dim=2 type=complete
#pragma HLS array_reshape variable=odd_ones.depthwise_weights dim=2 type=complete
#pragma HLS array_reshape variable=odd_ones.depthwise_scales dim=2 type=complete
#pragma HLS array_reshape variable=odd_ones.project_weights dim=2 type=complete
#pragma HLS array_reshape variable=odd_ones.project_scales dim=2 type=complete
    int swapped = 0;
    body1_shared_load(weights, even, body1_shared_blocks[0]);
    const int batches = (frames + 1) / 2;

phases:
    for (int phase = 0; phase < batches + 2; ++phase) {
        const int coming = deepdive::frames_of(phase, 2, frames);
        const int here = deepdive::frames_of(phase - 1, 2, frames);
        const int leaving = deepdive::frames_of(phase - 2, 2, frames);
        const int odd = phase & 1;
        body1_shared_take(input, ends_write, coming, odd);
        body1_shared_pass(maps_read, maps_write, weights, even, odd_ones, swapped, here, 1 - odd);
        body1_shared_give(ends_read, output, leaving, odd);
    }
}

}  // namespace

#endif
