// bfloat16: the upper half of a float. Conversions round to nearest even and keep NaN a NaN; arithmetic
// between two of them rounds to bfloat16 again, as on the device.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "simt/device.h"

struct alignas(2) __nv_bfloat16 {
  std::uint16_t bits;

  __nv_bfloat16() = default;
  __nv_bfloat16(float value) : bits(round(value)) {}
  __nv_bfloat16(double value) : bits(round(to_odd(value))) {}
  __nv_bfloat16(int value) : __nv_bfloat16(static_cast<double>(value)) {}
  __nv_bfloat16(unsigned value) : __nv_bfloat16(static_cast<double>(value)) {}
  operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

 private:
  static std::uint16_t round(float value) {
    const auto word = std::bit_cast<std::uint32_t>(value);
    if (value != value) {
      return 0x7fff;
    }
    return static_cast<std::uint16_t>((word + 0x7fff + ((word >> 16) & 1)) >> 16);
  }

  /// A double cut to float, with the lowest bit set when anything was lost, so that the next rounding is the
  /// only one.
  static float to_odd(double value) {
    const auto nearest = static_cast<float>(value);
    if (static_cast<double>(nearest) == value || value != value) {
      return nearest;
    }
    auto word = std::bit_cast<std::uint32_t>(nearest);
    const bool past = std::fabs(static_cast<double>(nearest)) > std::fabs(value);
    word = (past ? word - 1 : word) | 1;
    return std::bit_cast<float>(word);
  }
};

struct alignas(4) __nv_bfloat162 {
  __nv_bfloat16 x, y;
};

template <>
inline constexpr bool simt::detail::is_shuffled<__nv_bfloat16> = true;

inline float __bfloat162float(__nv_bfloat16 value) {
  return value;
}
inline __nv_bfloat16 __float2bfloat16(float value) {
  return value;
}
inline __nv_bfloat16 __float2bfloat16_rn(float value) {
  return value;
}
inline __nv_bfloat16 __double2bfloat16(double value) {
  return value;
}
inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) {
  return std::bit_cast<__nv_bfloat16>(bits);
}
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 value) {
  return value.bits;
}

inline float __low2float(__nv_bfloat162 pair) {
  return pair.x;
}
inline float __high2float(__nv_bfloat162 pair) {
  return pair.y;
}
inline float2 __bfloat1622float2(__nv_bfloat162 pair) {
  return {pair.x, pair.y};
}
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) {
  return {x, y};
}
inline __nv_bfloat162 __float22bfloat162_rn(float2 pair) {
  return {pair.x, pair.y};
}
inline __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 x, __nv_bfloat16 y) {
  return {x, y};
}
inline __nv_bfloat162 __bfloat162bfloat162(__nv_bfloat16 x) {
  return {x, x};
}

// A sum, product or quotient of two bfloat16, rounded to float and then to bfloat16, is rounded as if once:
// float has more than twice the digits.
#define SIMT_BF16_ARITHMETIC(name, op)                                      \
  inline __nv_bfloat16 operator op(__nv_bfloat16 a, __nv_bfloat16 b) {      \
    return static_cast<float>(a) op static_cast<float>(b);                  \
  }                                                                         \
  inline __nv_bfloat16 name(__nv_bfloat16 a, __nv_bfloat16 b) {             \
    return a op b;                                                          \
  }                                                                         \
  inline __nv_bfloat16& operator op##=(__nv_bfloat16& a, __nv_bfloat16 b) { \
    return a = a op b;                                                      \
  }
SIMT_BF16_ARITHMETIC(__hadd, +)
SIMT_BF16_ARITHMETIC(__hsub, -)
SIMT_BF16_ARITHMETIC(__hmul, *)
SIMT_BF16_ARITHMETIC(__hdiv, /)
#undef SIMT_BF16_ARITHMETIC

#define SIMT_BF16_COMPARISON(op)                              \
  inline bool operator op(__nv_bfloat16 a, __nv_bfloat16 b) { \
    return static_cast<float>(a) op static_cast<float>(b);    \
  }
SIMT_BF16_COMPARISON(==)
SIMT_BF16_COMPARISON(<)
SIMT_BF16_COMPARISON(<=)
SIMT_BF16_COMPARISON(>)
SIMT_BF16_COMPARISON(>=)
#undef SIMT_BF16_COMPARISON

inline __nv_bfloat16 operator-(__nv_bfloat16 a) {
  return std::bit_cast<__nv_bfloat16>(static_cast<std::uint16_t>(a.bits ^ 0x8000));
}
inline __nv_bfloat16 __hneg(__nv_bfloat16 a) {
  return -a;
}
inline bool __hisnan(__nv_bfloat16 a) {
  return (a.bits & 0x7fff) > 0x7f80;
}
