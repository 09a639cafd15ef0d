// Test bench of the unit body1 alone, for the vendor's C and RTL simulation: exit code 1 when a code differs.
// Arguments: frames, file of input codes, file of expected codes, weights of body1_pointwise2.
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "units/body1.h"

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

std::vector<deepdive::memory_word> read_memory(const char* path) {
    const std::vector<unsigned char> bytes = read_file(path);
    std::vector<deepdive::memory_word> words(bytes.size() / deepdive::memory_word::size);
    for (std::size_t at = 0; at < words.size() * deepdive::memory_word::size; ++at) {
        words[at / deepdive::memory_word::size].byte[at % deepdive::memory_word::size] = bytes[at];
    }
    return words;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) {
        std::fprintf(stderr, "want frames, input, expected, weights\n");
        return 2;
    }
    const int frames = std::atoi(argv[1]);
    const std::vector<unsigned char> codes = read_file(argv[2]);
    const std::vector<unsigned char> expected = read_file(argv[3]);
    if (frames < 1 || codes.size() != static_cast<std::size_t>(frames) * 512 ||
        expected.size() != static_cast<std::size_t>(frames) * 512) {
        std::fprintf(stderr, "body1: the files do not hold %d frames\n", frames);
        return 2;
    }
    const std::vector<deepdive::memory_word> body1_pointwise2 = read_memory(argv[4]);
    hls::stream<body1_input> input("input");
    hls::stream<body1_output> output("output");
    for (std::size_t at = 0; at < codes.size(); at += body1_input::size) {
        body1_input beat;
        for (int lane = 0; lane < body1_input::size; ++lane) {
            beat.lane[lane] = static_cast<int>(codes[at + lane]);
        }
        input.write(beat);
    }
    body1_unit(input, output, body1_pointwise2.data(), frames);
    std::size_t differing = 0;
    for (std::size_t at = 0; at < expected.size(); at += body1_output::size) {
        const body1_output beat = output.read();
        for (int lane = 0; lane < body1_output::size; ++lane) {
            differing += static_cast<unsigned char>(static_cast<int>(beat.lane[lane])) != expected[at + lane];
        }
    }
    std::printf("body1: %zu codes, %zu differ\n", expected.size(), differing);
    return differing == 0 ? 0 : 1;
}
