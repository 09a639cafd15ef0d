// Stages side by side, as in hardware: each has a stack of its own and runs until it has to wait for a stream.
//
// One after the other on one core, in a fixed order, so that every run is the same. When all of them wait, the hardware
// would wait for ever; here the simulation ends and says who waits for what.
#ifndef DEEPDIVE_TESTBENCH_FIBERS_H
#define DEEPDIVE_TESTBENCH_FIBERS_H

#include <sys/mman.h>
#include <ucontext.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace testbench {

// What a stage waits for: a beat in a stream, or room for one.
struct awaited {
    virtual bool here() const = 0;
    virtual std::string what() const = 0;

  protected:
    ~awaited() = default;
};

class fibers {
  public:
    fibers() { at_work() = this; }
    ~fibers() { at_work() = nullptr; }
    fibers(const fibers&) = delete;
    fibers& operator=(const fibers&) = delete;

    void start(const std::string& name, std::function<void()> body) {
        started.push_back(std::make_unique<fiber>(name, std::move(body)));
    }

    // Until all are done; ends the simulation when none can go on.
    void run() {
        std::size_t left = started.size();
        while (left > 0) {
            bool moved = false;
            for (const std::unique_ptr<fiber>& next : started) {
                if (!next->done && (next->waits_for == nullptr || next->waits_for->here())) {
                    current = next.get();
                    swapcontext(&scheduler, &next->context);
                    current = nullptr;
                    moved = true;
                    left -= next->done ? 1 : 0;
                }
            }
            if (!moved) {
                stuck();
            }
        }
    }

    // The stage at work goes on when `reason` is here.
    static void wait(const awaited& reason) {
        fiber& self = *at_work()->current;
        while (!reason.here()) {
            self.waits_for = &reason;
            swapcontext(&self.context, &at_work()->scheduler);
            self.waits_for = nullptr;
        }
    }

    // Whether a stage is at work, and not what is around them.
    static bool inside() { return at_work() != nullptr && at_work()->current != nullptr; }

  private:
    struct fiber {
        static constexpr std::size_t stack_bytes = std::size_t{64} << 20;  // taken as it is used

        fiber(const std::string& its_name, std::function<void()> its_body) : name(its_name), body(std::move(its_body)) {
            constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
            stack = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
            if (stack == MAP_FAILED) {
                std::fprintf(stderr, "no memory for the stack of stage '%s'\n", name.c_str());
                std::exit(2);
            }
            getcontext(&context);
            context.uc_stack.ss_sp = stack;
            context.uc_stack.ss_size = stack_bytes;
            context.uc_link = nullptr;
            makecontext(&context, &fibers::enter, 0);
        }
        ~fiber() { munmap(stack, stack_bytes); }
        fiber(const fiber&) = delete;
        fiber& operator=(const fiber&) = delete;

        std::string name;
        std::function<void()> body;
        void* stack = nullptr;
        ucontext_t context = {};
        const awaited* waits_for = nullptr;
        bool done = false;
    };

    static fibers*& at_work() {
        static fibers* working = nullptr;
        return working;
    }

    static void enter() {
        fibers& all = *at_work();
        fiber& self = *all.current;
        self.body();
        self.done = true;
        swapcontext(&self.context, &all.scheduler);
    }

    [[noreturn]] void stuck() const {
        std::string sentence = "all stages wait:";
        const char* between = " ";
        for (const std::unique_ptr<fiber>& one : started) {
            if (!one->done) {
                sentence += between + ("'" + one->name + "' for " + one->waits_for->what());
                between = ", ";
            }
        }
        std::fprintf(stderr, "%s\n", sentence.c_str());
        std::exit(3);
    }

    std::vector<std::unique_ptr<fiber>> started;
    fiber* current = nullptr;
    ucontext_t scheduler = {};
};

}  // namespace testbench

#endif
