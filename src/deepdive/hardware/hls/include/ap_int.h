// Stand-in for the vendor's ap_int.h, for compiling the stages with any C++17 compiler.
//
// Same names and same bits as the vendor's types where the stages use them: construction and assignment from integers
// wrap to W bits, and a value converts to an integer. The smallest native integer holds the value, so that arrays of
// ap_int are arrays of native integers to the compiler and its vectoriser.
#ifndef DEEPDIVE_STANDIN_AP_INT_H
#define DEEPDIVE_STANDIN_AP_INT_H

#include <cstdint>
#include <type_traits>

namespace deepdive_standin {

template <int W>
using signed_storage = std::conditional_t<
    (W <= 8), std::int8_t,
    std::conditional_t<(W <= 16), std::int16_t, std::conditional_t<(W <= 32), std::int32_t, std::int64_t>>>;

template <int W>
using unsigned_storage = std::make_unsigned_t<signed_storage<W>>;

}  // namespace deepdive_standin

template <int W>
class ap_uint;

template <int W>
class ap_int {
    static_assert(W >= 1 && W <= 64, "the stand-in holds 1 to 64 bits");

  public:
    using storage = deepdive_standin::signed_storage<W>;

    ap_int() = default;

    template <class Integer, class = std::enable_if_t<std::is_integral_v<Integer>>>
    constexpr ap_int(Integer from) : value(wrap(static_cast<std::make_unsigned_t<storage>>(from))) {}

    template <int V>
    constexpr ap_int(const ap_int<V>& from) : ap_int(static_cast<typename ap_int<V>::storage>(from)) {}

    template <int V>
    constexpr ap_int(const ap_uint<V>& from) : ap_int(static_cast<typename ap_uint<V>::storage>(from)) {}

    constexpr operator storage() const { return value; }

  private:
    static constexpr int spare = 8 * static_cast<int>(sizeof(storage)) - W;

    // The sign bit is moved to the top, then back by an arithmetic shift.
    static constexpr storage wrap(std::make_unsigned_t<storage> bits) {
        return static_cast<storage>(static_cast<storage>(bits << spare) >> spare);
    }

    storage value;
};

template <int W>
class ap_uint {
    static_assert(W >= 1 && W <= 64, "the stand-in holds 1 to 64 bits");

  public:
    using storage = deepdive_standin::unsigned_storage<W>;

    ap_uint() = default;

    template <class Integer, class = std::enable_if_t<std::is_integral_v<Integer>>>
    constexpr ap_uint(Integer from) : value(wrap(static_cast<storage>(from))) {}

    template <int V>
    constexpr ap_uint(const ap_int<V>& from) : ap_uint(static_cast<typename ap_int<V>::storage>(from)) {}

    template <int V>
    constexpr ap_uint(const ap_uint<V>& from) : ap_uint(static_cast<typename ap_uint<V>::storage>(from)) {}

    constexpr operator storage() const { return value; }

  private:
    static constexpr int spare = 8 * static_cast<int>(sizeof(storage)) - W;

    static constexpr storage wrap(storage bits) {
        return static_cast<storage>(static_cast<storage>(bits << spare) >> spare);
    }

    storage value;
};

#endif
