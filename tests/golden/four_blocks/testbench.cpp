// Test bench: all units in order of the data flow; every unit's output goes to a file.
#include "testbench/bench.h"
#include "units/head.h"
#include "units/body1.h"
#include "units/body2.h"
#include "units/tail.h"
#include "units/classifier.h"

int main(int argc, char** argv) {
    testbench::bench bench(argc, argv);
    const auto head_head_conv = testbench::read_memory("weights/head_head_conv.bin");
    const auto body1_body1_pointwise2 = testbench::read_memory("weights/body1_body1_pointwise2.bin");
    while (bench.next_batch(768)) {
        {
            hls::stream<head_input> input("head_input");
            hls::stream<head_output> output("head_output");
            bench.start(input);
            head_unit(input, output, head_head_conv.data(), bench.frames());
            bench.finish("head", output);
        }
        {
            hls::stream<body1_input> input("body1_input");
            hls::stream<body1_output> output("body1_output");
            bench.start(input);
            body1_unit(input, output, body1_body1_pointwise2.data(), bench.frames());
            bench.finish("body1", output);
        }
        {
            hls::stream<body2_input> input("body2_input");
            hls::stream<body2_output> output("body2_output");
            bench.start(input);
            body2_unit(input, output, bench.frames());
            bench.finish("body2", output);
        }
        {
            hls::stream<tail_input> input("tail_input");
            hls::stream<tail_output> output("tail_output");
            bench.start(input);
            tail_unit(input, output, bench.frames());
            bench.finish("tail", output);
        }
        {
            hls::stream<classifier_input> input("classifier_input");
            hls::stream<classifier_output> output("classifier_output");
            bench.start(input);
            classifier_unit(input, output, bench.frames());
            bench.finish("classifier", output);
        }
    }
    return 0;
}
