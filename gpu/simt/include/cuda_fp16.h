// float16: 5 bits of exponent, 10 of fraction. Conversions round to nearest even, numbers that are too large
// become infinite, and NaN stays NaN; arithmetic between two of them rounds to float16 again, as on the
// device.
#pragma once

#include <bit>
#include <cstdint>

#include "simt/device.h"

struct alignas(2) __half {
  std::uint16_t bits;

  __half() = default;
  __half(float value) : bits(round(value)) {}
  __half(double value) : bits(round(value)) {}
  __half(int value) : __half(static_cast<double>(value)) {}
  __half(unsigned value) : __half(static_cast<double>(value)) {}
  operator float() const { return static_cast<float>(std::bit_cast<_Float16>(bits)); }

 private:
  template <class T>
  static std::uint16_t round(T value) {
    return value != value ? std::uint16_t{0x7fff}
                          : std::bit_cast<std::uint16_t>(static_cast<_Float16>(value));
  }
};
using half = __half;

struct alignas(4) __half2 {
  __half x, y;
};
using half2 = __half2;

template <>
inline constexpr bool simt::detail::is_shuffled<__half> = true;

inline float __half2float(__half value) {
  return value;
}
inline __half __float2half(float value) {
  return value;
}
inline __half __float2half_rn(float value) {
  return value;
}
inline __half __double2half(double value) {
  return value;
}
inline __half __ushort_as_half(unsigned short bits) {
  return std::bit_cast<__half>(bits);
}
inline unsigned short __half_as_ushort(__half value) {
  return value.bits;
}

inline float __low2float(__half2 pair) {
  return pair.x;
}
inline float __high2float(__half2 pair) {
  return pair.y;
}
inline float2 __half22float2(__half2 pair) {
  return {pair.x, pair.y};
}
inline __half2 __floats2half2_rn(float x, float y) {
  return {x, y};
}
inline __half2 __float22half2_rn(float2 pair) {
  return {pair.x, pair.y};
}
inline __half2 __halves2half2(__half x, __half y) {
  return {x, y};
}
inline __half2 __half2half2(__half x) {
  return {x, x};
}

// A sum, product or quotient of two float16, rounded to float and then to float16, is rounded as if once:
// float has more than twice the digits.
#define SIMT_HALF_ARITHMETIC(name, op)                     \
  inline __half operator op(__half a, __half b) {          \
    return static_cast<float>(a) op static_cast<float>(b); \
  }                                                        \
  inline __half name(__half a, __half b) {                 \
    return a op b;                                         \
  }                                                        \
  inline __half& operator op##=(__half& a, __half b) {     \
    return a = a op b;                                     \
  }
SIMT_HALF_ARITHMETIC(__hadd, +)
SIMT_HALF_ARITHMETIC(__hsub, -)
SIMT_HALF_ARITHMETIC(__hmul, *)
SIMT_HALF_ARITHMETIC(__hdiv, /)
#undef SIMT_HALF_ARITHMETIC

#define SIMT_HALF_COMPARISON(op)                           \
  inline bool operator op(__half a, __half b) {            \
    return static_cast<float>(a) op static_cast<float>(b); \
  }
SIMT_HALF_COMPARISON(==)
SIMT_HALF_COMPARISON(<)
SIMT_HALF_COMPARISON(<=)
SIMT_HALF_COMPARISON(>)
SIMT_HALF_COMPARISON(>=)
#undef SIMT_HALF_COMPARISON

inline __half operator-(__half a) {
  return std::bit_cast<__half>(static_cast<std::uint16_t>(a.bits ^ 0x8000));
}
inline __half __hneg(__half a) {
  return -a;
}
inline bool __hisnan(__half a) {
  return (a.bits & 0x7fff) > 0x7c00;
}
