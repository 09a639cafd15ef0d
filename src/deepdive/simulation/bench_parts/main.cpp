// Runs a bench until all of its beats have arrived, or until none has moved for a while.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "Vbench.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

constexpr int reset_cycles = 4;
constexpr int surplus_cycles = 100;  // run on after the last beat: one too many shows in the recorded beats

// bench FRAMES SEED PAUSE_SOURCES PAUSE_SINKS PATIENCE [FILE FIRST LAST]: pauses in 256ths, patience in cycles without a
// beat; with tracing a waveform of the cycles FIRST to LAST, the first half of a time unit high.
int main(int argc, char** argv) {
    if (argc < 6) {
        std::fprintf(stderr, "usage: %s FRAMES SEED PAUSE_SOURCES PAUSE_SINKS PATIENCE\n", argv[0]);
        return 2;
    }
    const auto context = std::make_unique<VerilatedContext>();
    context->commandArgs(argc, argv);
    const auto bench = std::make_unique<Vbench>(context.get());
    bench->frames = static_cast<std::uint32_t>(std::strtoul(argv[1], nullptr, 10));
    bench->seed = static_cast<std::uint32_t>(std::strtoul(argv[2], nullptr, 10));
    bench->pause_sources = static_cast<std::uint8_t>(std::strtoul(argv[3], nullptr, 10));
    bench->pause_sinks = static_cast<std::uint8_t>(std::strtoul(argv[4], nullptr, 10));
    const std::uint64_t patience = std::strtoull(argv[5], nullptr, 10);
    std::uint64_t cycle = 0;
#if VM_TRACE
    const auto wave = std::make_unique<VerilatedVcdC>();
    const bool waving = argc > 8;
    const std::uint64_t first = waving ? std::strtoull(argv[7], nullptr, 10) : 0;
    const std::uint64_t last = waving ? std::strtoull(argv[8], nullptr, 10) : 0;
    if (waving) {
        context->traceEverOn(true);
        bench->trace(wave.get(), 99);
        wave->open(argv[6]);
    }
    const auto dump = [&](std::uint64_t time) {
        if (waving && cycle >= first && cycle <= last) wave->dump(time);
    };
#else
    const auto dump = [](std::uint64_t) {};
#endif
    const auto step = [&] {
        bench->rst = cycle < reset_cycles;
        bench->clk = 0;
        bench->eval();
        dump(2 * cycle);
        const bool moved = bench->moved;
        bench->clk = 1;
        bench->eval();
        dump(2 * cycle + 1);
        ++cycle;
        return moved;
    };
    std::uint64_t idle = 0;
    while (!bench->complete && idle < patience) idle = step() ? 0 : idle + 1;
    const bool complete = bench->complete;
    for (int extra = 0; complete && extra < surplus_cycles; ++extra) step();
    bench->final();
#if VM_TRACE
    wave->close();
#endif
    std::printf("%llu %s\n", static_cast<unsigned long long>(cycle), complete ? "complete" : "stopped");
    return complete ? 0 : 1;
}
