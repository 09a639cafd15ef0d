// Stand-in for the vendor's hls_stream.h: an unbounded first-in, first-out queue.
//
// C simulation runs the stages one after the other, so a stream holds all that its writer wrote. DEPTH is what the
// hardware's FIFO holds; here it is kept for those who ask, and bounds nothing. A stream that is read while empty, or is
// left with beats that nobody reads, ends the simulation and says its name.
#ifndef DEEPDIVE_STANDIN_HLS_STREAM_H
#define DEEPDIVE_STANDIN_HLS_STREAM_H

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace hls {

template <class T, int DEPTH = 0>
class stream;

template <class T>
class stream<T, 0> {
  public:
    stream() = default;
    explicit stream(const char* label) : name(label) {}
    stream(const stream&) = delete;
    stream& operator=(const stream&) = delete;

    // Beats that nobody reads would stop the hardware sooner or later.
    ~stream() {
        if (!empty()) {
            fail("still holds beats when its unit is done");
        }
    }

    bool empty() const { return head == queue.size(); }
    std::size_t size() const { return queue.size() - head; }

    void write(const T& value) { queue.push_back(value); }

    // Reading an empty stream is a deadlock in hardware.
    T read() {
        if (empty()) {
            fail("is read while empty");
        }
        T value = queue[head++];
        if (head == queue.size()) {
            queue.clear();
            head = 0;
        }
        return value;
    }

  private:
    [[noreturn]] void fail(const char* how) const {
        std::fprintf(stderr, "stream '%s' %s\n", name, how);
        std::exit(3);
    }

    std::vector<T> queue;
    std::size_t head = 0;
    const char* name = "unnamed";
};

template <class T, int DEPTH>
class stream : public stream<T, 0> {
  public:
    static constexpr int depth = DEPTH;
    using stream<T, 0>::stream;
};

}  // namespace hls

#endif
