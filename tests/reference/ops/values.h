// Helpers for the tests of the reference: tensors from numbers, comparison element by element, the message of
// an error, and a bfloat16 rounding that does not use the code under test.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "reference/error.h"
#include "reference/tensor.h"

namespace forgecheck {

inline constexpr double kCos1 = 0.5403023058681398;
inline constexpr double kSin1 = 0.8414709848078965;
inline constexpr double kLn2 = 0.6931471805599453;
inline constexpr double kLn3 = 1.0986122886681098;

using Ids = Tensor<std::int64_t>;

template <class T>
Tensor<T> tensor(Shape shape, const std::vector<double>& values) {
  Tensor<T> out(std::move(shape));
  EXPECT_EQ(out.data.size(), values.size());
  for (std::size_t i = 0; i < values.size(); ++i) out.data.at(i) = T(static_cast<compute_t<T>>(values[i]));
  return out;
}

inline Tensor<double> doubles(Shape shape, const std::vector<double>& values) {
  return tensor<double>(std::move(shape), values);
}

template <class T>
std::vector<double> numbers(const Tensor<T>& x) {
  std::vector<double> out;
  for (const T& value : x.data) out.push_back(static_cast<double>(static_cast<compute_t<T>>(value)));
  return out;
}

template <class T>
std::vector<double> numbers_of_row(const Tensor<T>& x, std::int64_t row) {
  const auto values = numbers(x);
  return {values.begin() + row * x.width(), values.begin() + (row + 1) * x.width()};
}

/// The same number of elements, each within `tolerance`. NaN is not near any value.
inline auto AreNear(const std::vector<double>& expected, double tolerance = 1e-14) {
  return testing::Pointwise(testing::DoubleNear(tolerance), expected);
}

/// The same shape and the same elements (for bfloat16: the same bits).
template <class T>
bool identical(const Tensor<T>& a, const Tensor<T>& b) {
  return a.shape == b.shape && a.size() > 0 && numbers(a) == numbers(b);
}

/// The message of the error of type E that `action` throws; empty if it throws none.
template <class E = ShapeError>
std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const E& error) {
    return error.what();
  }
  return "";
}

/// A normal number rounded to 8 significant bits, ties to even.
inline float bf16(float value) {
  if (value == 0.0F) return value;
  int exponent = 0;
  const float fraction = std::frexp(value, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(fraction, 8)), exponent - 8);
}

inline std::vector<double> bf16_numbers(const std::vector<float>& values) {
  std::vector<double> out;
  for (const float value : values) out.push_back(static_cast<double>(bf16(value)));
  return out;
}

}  // namespace forgecheck
