// In place of include/hls_stream.h: streams that hold as many beats as the hardware's FIFOs, and stages that wait.
//
// A stream made by the test bench, between stages, is DEPTH beats deep. One made inside a stage joins functions that run
// one after the other: it holds all that is written.
#ifndef DEEPDIVE_BOUNDED_HLS_STREAM_H
#define DEEPDIVE_BOUNDED_HLS_STREAM_H

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <vector>

#include "testbench/fibers.h"

namespace hls {

template <class T, int DEPTH = 0>
class stream;

template <class T>
class stream<T, 0> {
  public:
    stream() : stream("unnamed", 0) {}
    explicit stream(const char* label) : stream(label, 0) {}
    stream(const stream&) = delete;
    stream& operator=(const stream&) = delete;

    ~stream() {
        if (!empty()) {
            fail("still holds beats when its unit is done");
        }
    }

    bool empty() const { return queue.empty(); }
    std::size_t size() const { return queue.size(); }

    void write(const T& value) {
        if (depth > 0) {
            testbench::fibers::wait(room);
        }
        queue.push_back(value);
    }

    T read() {
        if (depth > 0) {
            testbench::fibers::wait(beat);
        } else if (empty()) {
            fail("is read while empty");
        }
        T value = queue.front();
        queue.pop_front();
        if (keeps) {
            gone.push_back(value);
        }
        return value;
    }

    // Every beat that was read from now on.
    const std::vector<T>& keep() {
        keeps = true;
        return gone;
    }

  protected:
    stream(const char* label, std::size_t beats)
        : name(label), depth(testbench::fibers::inside() ? 0 : beats), room(*this), beat(*this) {}

  private:
    struct room_here final : testbench::awaited {
        explicit room_here(const stream& its_owner) : owner(its_owner) {}
        bool here() const override { return owner.queue.size() < owner.depth; }
        std::string what() const override {
            return "room in stream '" + std::string(owner.name) + "' of " + std::to_string(owner.depth) + " beats";
        }
        const stream& owner;
    };
    struct beat_here final : testbench::awaited {
        explicit beat_here(const stream& its_owner) : owner(its_owner) {}
        bool here() const override { return !owner.queue.empty(); }
        std::string what() const override { return "a beat of stream '" + std::string(owner.name) + "'"; }
        const stream& owner;
    };

    [[noreturn]] void fail(const char* how) const {
        std::fprintf(stderr, "stream '%s' %s\n", name, how);
        std::exit(3);
    }

    const char* name;
    std::size_t depth;
    room_here room;
    beat_here beat;
    std::deque<T> queue;
    std::vector<T> gone;
    bool keeps = false;
};

template <class T, int DEPTH>
class stream : public stream<T, 0> {
  public:
    stream() : stream("unnamed") {}
    explicit stream(const char* label) : stream<T, 0>(label, DEPTH) {}
};

}  // namespace hls

#endif
