// Host side of C simulation: reads input codes, feeds streams, writes every unit's output codes, tells the time.
//
// A code is a byte (two's complement when signed); a frame is row by row, pixel by pixel, channels innermost.
#ifndef DEEPDIVE_TESTBENCH_BENCH_H
#define DEEPDIVE_TESTBENCH_BENCH_H

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "deepdive/beat.h"
#include "deepdive/external_weights.h"

namespace testbench {

struct close_file {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
using file = std::unique_ptr<std::FILE, close_file>;

[[noreturn]] inline void fail(const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    std::exit(2);
}

inline file open(const std::string& path, const char* mode) {
    file opened(std::fopen(path.c_str(), mode));
    if (!opened) {
        fail("cannot open '" + path + "'");
    }
    return opened;
}

// A memory that a unit reads while it runs.
inline std::vector<deepdive::memory_word> read_memory(const std::string& path) {
    const file source = open(path, "rb");
    std::vector<deepdive::memory_word> words;
    deepdive::memory_word word;
    while (std::fread(word.byte, 1, sizeof(word.byte), source.get()) == sizeof(word.byte)) {
        words.push_back(word);
    }
    return words;
}

class bench {
  public:
    // --frames N, --batch N (frames in one call of a unit), --input FILE, --output FOLDER.
    bench(int argc, char** argv) {
        for (int i = 1; i < argc; i += 2) {
            const std::string option = argv[i];
            if (i + 1 == argc) {
                fail("'" + option + "' wants a value");
            } else if (option == "--frames") {
                total = std::atoi(argv[i + 1]);
            } else if (option == "--batch") {
                batch = std::atoi(argv[i + 1]);
            } else if (option == "--input") {
                input = open(argv[i + 1], "rb");
            } else if (option == "--output") {
                output = argv[i + 1];
            } else {
                fail("there is no option '" + option + "'; use --frames, --batch, --input, --output");
            }
        }
        if (total < 1 || batch < 1) {
            fail("--frames and --batch want a number of at least 1");
        }
    }

    // Reads the next frames, `size` codes each; false when all are done.
    bool next_batch(std::size_t size) {
        first += now;
        now = total - first < batch ? total - first : batch;
        if (now < 1) {
            return false;
        }
        codes.resize(static_cast<std::size_t>(now) * size);
        if (!input) {
            for (unsigned char& code : codes) {
                state = state * 6364136223846793005ULL + 1442695040888963407ULL;
                code = static_cast<unsigned char>(state >> 56);
            }
        } else if (std::fread(codes.data(), 1, codes.size(), input.get()) != codes.size()) {
            fail("the input holds fewer frames than --frames says");
        }
        return true;
    }

    int frames() const { return now; }

    // Puts the codes at hand into a unit's input and starts the clock.
    template <class Beat>
    void start(hls::stream<Beat>& stream) {
        for (std::size_t at = 0; at < codes.size(); at += Beat::size) {
            Beat beat;
            for (int lane = 0; lane < Beat::size; ++lane) {
                beat.lane[lane] = static_cast<int>(codes[at + lane]);
            }
            stream.write(beat);
        }
        started = std::chrono::steady_clock::now();
    }

    // Tells how long the unit took; what it wrote goes to its file and becomes the codes at hand.
    template <class Beat>
    void finish(const char* unit, hls::stream<Beat>& stream) {
        std::vector<Beat> beats;
        beats.reserve(stream.size());
        const std::chrono::steady_clock::time_point ended = std::chrono::steady_clock::now();
        while (!stream.empty()) {
            beats.push_back(stream.read());
        }
        started += std::chrono::steady_clock::now() - ended;  // what the bench does is not the unit's time
        put(unit, beats);
    }

    // What a unit's memory holds after its last call goes to a file, too: the maps between the blocks of its last batch.
    template <class Word>
    void keep(const char* name, const std::vector<Word>& memory) const {
        if (!output.empty()) {
            const file result = open(output + "/" + name + ".bin", "wb");
            if (std::fwrite(memory.data(), sizeof(Word), memory.size(), result.get()) != memory.size()) {
                fail("cannot write the memory '" + std::string(name) + "'");
            }
        }
    }

    // As `finish`, for beats that were read already; units that run together tell the time of all of them.
    template <class Beat>
    void put(const char* unit, const std::vector<Beat>& beats) {
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - started;
        std::printf("unit %s frames %d to %d seconds %.6f\n", unit, first, first + now - 1, seconds.count());
        std::fflush(stdout);
        codes.resize(beats.size() * Beat::size);
        for (std::size_t at = 0; at < codes.size(); at += Beat::size) {
            const Beat& beat = beats[at / Beat::size];
            for (int lane = 0; lane < Beat::size; ++lane) {
                codes[at + lane] = static_cast<unsigned char>(static_cast<int>(beat.lane[lane]));
            }
        }
        if (!output.empty()) {
            const file result = open(output + "/" + unit + ".bin", first == 0 ? "wb" : "ab");
            if (std::fwrite(codes.data(), 1, codes.size(), result.get()) != codes.size()) {
                fail("cannot write the output of unit '" + std::string(unit) + "'");
            }
        }
    }

  private:
    int total = 1;
    int batch = 1;
    int first = 0;
    int now = 0;
    file input;
    std::string output;
    std::vector<unsigned char> codes;
    unsigned long long state = 1;
    std::chrono::steady_clock::time_point started;
};

}  // namespace testbench

#endif
