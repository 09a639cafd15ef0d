// Test bench of the unit body2 alone, for the vendor's C and RTL simulation: exit code 1 when a code differs.
// Arguments: frames, file of input codes, file of expected codes.
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "units/body2.h"

namespace {

std::vector<unsigned char> read_file(const char* path) {
    std::FILE* file = std::fopen(path, "rb");
    if (file == nullptr) {
        std::fprintf(stderr, "cannot open '%s'\n", path);
        std::exit(2);
    }
    std::vector<unsigned char> bytes;
    int byte;
    while ((byte = std::fgetc(file)) != EOF) {
        bytes.push_back(static_cast<unsigned char>(byte));
    }
    std::fclose(file);
    return bytes;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fprintf(stderr, "want frames, input, expected\n");
        return 2;
    }
    const int frames = std::atoi(argv[1]);
    const std::vector<unsigned char> codes = read_file(argv[2]);
    const std::vector<unsigned char> expected = read_file(argv[3]);
    if (frames < 1 || codes.size() != static_cast<std::size_t>(frames) * 512 ||
        expected.size() != static_cast<std::size_t>(frames) * 256) {
        std::fprintf(stderr, "body2: the files do not hold %d frames\n", frames);
        return 2;
    }
    hls::stream<body2_input> input("input");
    hls::stream<body2_output> output("output");
    for (std::size_t at = 0; at < codes.size(); at += body2_input::size) {
        body2_input beat;
        for (int lane = 0; lane < body2_input::size; ++lane) {
            beat.lane[lane] = static_cast<int>(codes[at + lane]);
        }
        input.write(beat);
    }
    body2_unit(input, output, frames);
    std::size_t differing = 0;
    for (std::size_t at = 0; at < expected.size(); at += body2_output::size) {
        const body2_output beat = output.read();
        for (int lane = 0; lane < body2_output::size; ++lane) {
            differing += static_cast<unsigned char>(static_cast<int>(beat.lane[lane])) != expected[at + lane];
        }
    }
    std::printf("body2: %zu codes, %zu differ\n", expected.size(), differing);
    return differing == 0 ? 0 : 1;
}
