// Element types of tensors and files, and the two 16-bit floating point formats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace forgecheck {

enum class Dtype { f64, f32, f16, bf16, i64, i32, u8, boolean };

/// Bytes of one element.
std::size_t size_of(Dtype dtype);

/// The name in a safetensors header: "F64", "F32", "F16", "BF16", "I64", "I32", "U8", "BOOL".
std::string_view safetensors_name(Dtype dtype);

/// The name in a case: "float64", "float32", "float16", "bfloat16", "int64", "int32", "uint8", "bool".
std::string_view torch_name(Dtype dtype);

/// Throws FormatError quoting `name` if it is none of the safetensors names above.
Dtype parse_safetensors_name(std::string_view name);

bool is_floating_point(Dtype dtype);

/// Whether every number of the floating point type `narrow` is one of the floating point type `wide`.
bool holds(Dtype wide, Dtype narrow);

/// Distance from 1 to the next larger value of a floating point type (2^-52, 2^-23, 2^-10, 2^-7).
double machine_epsilon(Dtype dtype);

/// IEEE binary16 to float, exact.
float half_to_float(std::uint16_t bits);

/// float to IEEE binary16, to nearest even.
std::uint16_t float_to_half(float value);

/// The upper half of a float: 8 bits of exponent, 7 of fraction. Rounds to nearest even; NaN stays NaN.
struct Bfloat16 {
  std::uint16_t bits = 0;

  Bfloat16() = default;
  explicit Bfloat16(float value);
  operator float() const;  // NOLINT(google-explicit-constructor): widening is exact
};

/// The type in which an operation on T computes internally, as upstream's kernels do.
template <class T>
struct Compute {
  using type = T;
};
template <>
struct Compute<Bfloat16> {
  using type = float;
};
template <class T>
using compute_t = typename Compute<T>::type;

/// An element of a tensor in the computing type: exact.
template <class T>
compute_t<T> widen(const T& element) {
  return static_cast<compute_t<T>>(element);
}

/// `value` rounded to T once, back in the computing type. The identity for double and float.
template <class T>
compute_t<T> round_to(compute_t<T> value) {
  return static_cast<compute_t<T>>(T(value));
}

template <class T>
constexpr Dtype dtype_of();
template <>
constexpr Dtype dtype_of<double>() {
  return Dtype::f64;
}
template <>
constexpr Dtype dtype_of<float>() {
  return Dtype::f32;
}
template <>
constexpr Dtype dtype_of<Bfloat16>() {
  return Dtype::bf16;
}
template <>
constexpr Dtype dtype_of<std::int64_t>() {
  return Dtype::i64;
}
template <>
constexpr Dtype dtype_of<std::uint8_t>() {
  return Dtype::boolean;
}

}  // namespace forgecheck
